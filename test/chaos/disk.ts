import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** A small file system of one's own. */
export interface Disk {
  readonly folder: string;
  remove(): void;
}

/** Mounts a file system of so many KB; the reason, where that is not to be had. */
export function smallDisk(kilobytes: number): Disk | { reason: string } {
  const folder = mkdtempSync(join(tmpdir(), 'poolite-disk-'));
  const args = ['-t', 'tmpfs', '-o', `size=${kilobytes}k`, 'tmpfs', folder];
  const { status, stderr, error } = spawnSync('mount', args, { encoding: 'utf8' });
  if (status !== 0) {
    rmSync(folder, { recursive: true });
    return { reason: `no file system can be mounted: ${error?.message ?? stderr.trim()}` };
  }
  return {
    folder,
    remove: () => {
      spawnSync('umount', [folder]);
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
