import { Connection, type ConnectionOptions } from '../threads/connection.js';
import { makeFolder } from './place.js';

/**
 * Says which process writes a file: an exclusive lock of SQLite on a small file, which the system
 * drops with its process, however that ends. Nothing is ever written there. It is SQLite's own
 * library that takes it, so that two pools of one process exclude each other as well: the system
 * alone would give both of them the lock.
 */
export class WriterLock {
  readonly #options: ConnectionOptions;
  #connection: Connection | undefined;

  constructor(file: string, options: ConnectionOptions) {
    this.#options = {
      ...options,
      file,
      integers: 'number',
      synchronous: 'normal',
      foreignKeys: false,
      cacheSize: undefined,
      mmapSize: 0,
      pragmas: [],
      setup: undefined,
    };
  }

  /** Takes the lock without waiting for it; false where another has it. */
  take(): boolean {
    if (this.#connection !== undefined) return true;
    makeFolder(this.#options.file);
    let connection: Connection | undefined;
    try {
      connection = new Connection(this.#options, 'write', 0);
      connection.control('BEGIN EXCLUSIVE');
    } catch (error) {
      connection?.close();
      if (String((error as { code?: unknown }).code).startsWith('SQLITE_BUSY')) return false;
      throw error;
    }
    this.#connection = connection;
    return true;
  }

  get isTaken(): boolean {
    return this.#connection !== undefined;
  }

  release(): void {
    this.#connection?.close();
    this.#connection = undefined;
  }
}
