import { realpathSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { PoolError } from '../errors.js';

/** Kept on the global object, so that copies of this module made by a hot reload find it too. */
const KEY = Symbol.for('poolite.engines.1');

interface Use {
  readonly driver: string;
  users: number;
}

function uses(): Map<string, Use> {
  const home = globalThis as { [KEY]?: Map<string, Use> };
  home[KEY] ??= new Map();
  return home[KEY];
}

/** One name for one file, also through links, and also before the file exists. */
export function identity(file: string): string {
  try {
    return realpathSync(file);
  } catch {
    // It will be made, or ready() will tell why not.
    try {
      return join(realpathSync(dirname(file)), basename(file));
    } catch {
      return file;
    }
  }
}

/** The path in a URI: https://sqlite.org/uri.html */
function pathOf(file: string): string {
  if (!file.startsWith('file:')) return file;
  const path = file.slice('file:'.length).replace(/^\/\/[^/]*/, '');
  try {
    return decodeURIComponent(path.replace(/[?#].*$/s, ''));
  } catch {
    return file;
  }
}

/**
 * Says that this thread uses a file by a driver, until the function that it returns is called. Two
 * copies of SQLite in one process lose each other's locks of one file, and may corrupt it: so none
 * is used by better-sqlite3 (or what is compatible with it) and by node:sqlite at once.
 * https://sqlite.org/howtocorrupt.html#multiple_copies_of_sqlite_linked_into_the_same_application
 *
 * @throws PoolError POOL_OPTIONS where the other has it open.
 */
export function useFile(file: string, driver: string): () => void {
  if (file === ':memory:' || file === '') return () => {};
  const key = identity(pathOf(file));
  const all = uses();
  const use = all.get(key) ?? { driver, users: 0 };
  if ((use.driver === 'node:sqlite') !== (driver === 'node:sqlite')) {
    throw new PoolError(
      'POOL_OPTIONS',
      `option 'driver': this process has ${key} open with '${use.driver}', and '${driver}' would ` +
        'lose the locks that protect the file; use one driver for it, or close the other first',
    );
  }
  use.users++;
  all.set(key, use);
  let isUsed = true;
  return () => {
    if (!isUsed) return;
    isUsed = false;
    use.users--;
    if (use.users === 0) all.delete(key);
  };
}
