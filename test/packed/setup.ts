import { mkdtempSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestProject } from 'vitest/node';
import { install } from './project.ts';
import { packAll } from './tarballs.ts';

declare module 'vitest' {
  export interface ProvidedContext {
    /** The folder of the project that has everything installed. */
    project: string;
    /** The path of each tarball, by the name of its package. */
    tarballs: Record<string, string>;
  }
}

/** One project for all tests, outside of the workspace, so that nothing of it is found by chance. */
export default async function setup(vitest: TestProject): Promise<() => void> {
  const folder = realpathSync(mkdtempSync(join(tmpdir(), 'poolite-packed-')));
  const tarballs = packAll(folder);
  vitest.provide('tarballs', tarballs);
  vitest.provide('project', await install(join(folder, 'project'), tarballs));
  return () => rmSync(folder, { recursive: true, force: true });
}
