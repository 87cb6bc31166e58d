import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import { FolderBucket, type FolderBucketOptions } from '../../src/folder-bucket.js';

/** A folder of the running test's own, removed when the test is over. */
export function freshFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'poolite-store-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** A bucket in a fresh folder. No test cuts the power, so that nothing need be synced. */
export function freshBucket(options?: FolderBucketOptions): FolderBucket {
  return new FolderBucket(join(freshFolder(), 'bucket'), { sync: false, ...options });
}
