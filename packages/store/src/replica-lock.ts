import type { DatabaseSync } from 'node:sqlite';
import { PoolError } from '@poolite/core';

/**
 * Keeps other processes from the same replica: each would apply entries behind the other's back. It is a lock of
 * SQLite's on a small file beside it, which the system drops with its process.
 */
export class ReplicaLock {
  readonly #db: DatabaseSync;

  /** @throws PoolError POOL_IN_USE */
  constructor(file: string) {
    const { DatabaseSync: Database } = process.getBuiltinModule('node:sqlite');
    try {
      this.#db = new Database(`${file}.lock`, { timeout: 0 });
    } catch (error) {
      const why = (error as Error).message;
      throw new PoolError('POOL_STORE', `cannot make ${file}.lock, beside the replica: ${why}`, {
        cause: error,
      });
    }
    try {
      this.#db.exec('PRAGMA journal_mode = DELETE; BEGIN EXCLUSIVE');
    } catch (error) {
      this.#db.close();
      if ((error as { errcode?: number }).errcode !== 5) throw error;
      throw new PoolError(
        'POOL_IN_USE',
        `another process, or another pool of this one, has the replica ${file} open: give each a file of its own`,
        { cause: error },
      );
    }
  }

  close(): void {
    if (this.#db.isOpen) this.#db.close();
  }
}
