import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { PoolError } from '@poolite/core';

/** This file's own address; a bundler may leave nothing of it, or the address of its bundle. */
const here: unknown = import.meta.url;

/**
 * The URL of the module that the writer's thread loads: beside this file once built; by the package's name where an
 * application was bundled into one file.
 */
export function gateModule(): string {
  const own = typeof here === 'string' && here.startsWith('file:') ? here : undefined;
  if (own !== undefined) {
    const beside = new URL('./gate.js', own);
    if (existsSync(fileURLToPath(beside))) return beside.href;
  }
  const application = pathToFileURL(join(process.cwd(), 'index.js')).href;
  for (const from of own === undefined ? [application] : [own, application]) {
    try {
      return pathToFileURL(createRequire(from).resolve('@poolite/store/gate')).href;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'MODULE_NOT_FOUND') throw error;
    }
  }
  throw new PoolError(
    'POOL_MISUSE',
    "the store's part for the writer's thread was not found: the application was bundled, and '@poolite/store' is not " +
      'installed where the bundle runs. Install it there, or keep it out of the bundle',
  );
}
