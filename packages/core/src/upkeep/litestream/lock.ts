import { readFileSync } from 'node:fs';
import { Connection, type ConnectionOptions } from '../../threads/connection.js';

/**
 * Says which process replicates a file. Beside the file lies a small database; whoever replicates
 * holds its exclusive lock, which the system drops with the process, and has written down the
 * number of its child, since that may outlive the process for the moment of its last sync.
 */
export class ReplicationLock {
  readonly #options: ConnectionOptions;
  #connection: Connection | undefined;

  constructor(options: ConnectionOptions) {
    this.#options = {
      ...options,
      file: `${options.file}-replicate`,
      integers: 'number',
      synchronous: 'normal',
      foreignKeys: false,
      cacheSize: undefined,
      mmapSize: 0,
      pragmas: [],
      setup: undefined,
    };
  }

  /** Takes the lock; false where another process, or another pool, has it. */
  take(): boolean {
    if (this.#connection !== undefined) return true;
    let connection: Connection | undefined;
    try {
      connection = new Connection(this.#options, 'write', 0);
      connection.pragma('locking_mode = EXCLUSIVE');
      connection.control('BEGIN EXCLUSIVE');
      connection.control('CREATE TABLE IF NOT EXISTS child (pid INTEGER)');
      connection.control('COMMIT');
    } catch (error) {
      connection?.close();
      if (String((error as { code?: unknown }).code).startsWith('SQLITE_BUSY')) return false;
      throw error;
    }
    this.#connection = connection;
    return true;
  }

  /** The child that the last holder had. */
  get child(): number | undefined {
    const row = this.#connection?.db.prepare('SELECT pid FROM child').get([]);
    return (row as { pid: number } | undefined)?.pid;
  }

  /** Writes down the child, or that there is none. */
  note(pid: number | undefined): void {
    const connection = this.#connection;
    if (connection === undefined) return;
    connection.control('DELETE FROM child');
    if (pid !== undefined) connection.db.prepare('INSERT INTO child VALUES (?)').run([pid]);
  }

  release(): void {
    this.#connection?.close();
    this.#connection = undefined;
  }
}

/** Whether a process with this number is there, and, where the system tells, is Litestream. */
export function isLitestream(pid: number): boolean {
  try {
    process.kill(pid, 0);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ESRCH') return false;
  }
  try {
    const words = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
    return words.includes('-no-expand-env');
  } catch (error) {
    // It has ended meanwhile; or this is no Linux, and the number is all that is known.
    return process.platform !== 'linux' && (error as NodeJS.ErrnoException).code === 'ENOENT';
  }
}
