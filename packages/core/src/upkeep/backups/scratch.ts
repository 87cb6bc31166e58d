import { mkdirSync, readdirSync, rmSync, statSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { Connection, type ConnectionOptions } from '../../threads/connection.js';

// No import, which would load it for every thread of the pool: see compress.ts.
const { randomBytes } = process.getBuiltinModule('node:crypto');

/** The names of folders for work under way. */
const SCRATCH = /^\..+\.[0-9a-f]{12}\.poolite-tmp$/;
/** How old one must be, in ms, to be taken for left behind: its owner may still be locking it. */
const YOUNG = 60_000;

/** A connection to one of the upkeep's own files, without what the user set for the database. */
export function plainConnection(
  { driver }: ConnectionOptions,
  file: string,
  access: 'read' | 'write',
  timeout: number,
): Connection {
  const options: ConnectionOptions = {
    file,
    driver,
    readonly: access === 'read',
    integers: 'number',
    synchronous: 'full',
    busyTimeout: timeout,
    retry: { attempts: 0, baseDelay: 1, maxDelay: 1, jitter: 0 },
    foreignKeys: false,
    cacheSize: undefined,
    mmapSize: 0,
    pragmas: [],
    setup: undefined,
  };
  return new Connection(options, access, timeout);
}

/**
 * A folder beside a file that is being made: what is made, and whatever files SQLite puts beside
 * it, appear there, so that one rename puts it in place and one removal leaves nothing behind. An
 * SQLite lock on a file in it tells that its owner is alive: the kernel drops it with the process.
 */
export class Scratch {
  readonly path: string;
  readonly #lock: Connection;

  constructor(target: string, connection: ConnectionOptions) {
    const name = `.${basename(target)}.${randomBytes(6).toString('hex')}.poolite-tmp`;
    this.path = join(dirname(target), name);
    mkdirSync(this.path, { mode: 0o700 });
    try {
      this.#lock = lockOf(this.path, connection, 5000);
    } catch (error) {
      rmSync(this.path, { recursive: true, force: true });
      throw error;
    }
  }

  file(name: string): string {
    return join(this.path, name);
  }

  /** Removes the folder, and what is still in it. */
  remove(): void {
    // The lock is held to the last, so that nobody else takes it for left behind meanwhile; where
    // open files cannot be removed, it goes first.
    if (process.platform === 'win32') this.#lock.close();
    rmSync(this.path, { recursive: true, force: true, maxRetries: 3 });
    if (process.platform !== 'win32') this.#lock.close();
  }
}

function lockOf(scratch: string, connection: ConnectionOptions, timeout: number): Connection {
  const lock = plainConnection(connection, join(scratch, 'lock'), 'write', timeout);
  try {
    lock.control('BEGIN EXCLUSIVE');
    return lock;
  } catch (error) {
    lock.close();
    throw error;
  }
}

/** Removes what killed processes left in a folder. */
export function sweep(folder: string, connection: ConnectionOptions): void {
  for (const name of readdirSync(folder)) {
    if (!SCRATCH.test(name)) continue;
    const path = join(folder, name);
    try {
      if (Date.now() - statSync(path).mtimeMs < YOUNG) continue;
      const lock = lockOf(path, connection, 0);
      rmSync(path, { recursive: true, force: true });
      lock.close();
    } catch {
      // Its owner is alive, or it is another user's: either way it is not for this job to fail over.
    }
  }
}

/** A folder for a file on its way to or from elsewhere, of which a killed process leaves nothing for long. */
export function scratchIn(folder: string, name: string, connection: ConnectionOptions): Scratch {
  sweep(folder, connection);
  return new Scratch(join(folder, name), connection);
}
