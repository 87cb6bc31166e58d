import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import type { Connection, ConnectionOptions } from '../../threads/connection.js';
import { plainConnection } from './scratch.js';

const FILE = '.poolite-sending';
/** How often, in ms, it is tried again while another process sends: at first, and at most. */
const FIRST = 50;
const MOST = 1000;

/**
 * What one process at a time holds while it sends backups of a folder elsewhere: two of them would
 * send the same ones. A lock of its own, since backups are made while others are being sent.
 */
export class SendingLock {
  readonly #connection: Connection;

  private constructor(connection: Connection) {
    this.#connection = connection;
  }

  /** Takes the lock, once whoever has it lets it go. Rejects when it is given up meanwhile. */
  static async take(
    directory: string,
    options: ConnectionOptions,
    signal: AbortSignal,
  ): Promise<SendingLock> {
    for (let wait = FIRST; ; wait = Math.min(MOST, wait * 2)) {
      signal.throwIfAborted();
      const lock = SendingLock.#try(directory, options);
      if (lock !== undefined) return lock;
      await pause(wait, undefined, { signal });
    }
  }

  static #try(directory: string, options: ConnectionOptions): SendingLock | undefined {
    const connection = plainConnection(options, join(directory, FILE), 'write', 0);
    try {
      connection.control('BEGIN EXCLUSIVE');
      return new SendingLock(connection);
    } catch (error) {
      connection.close();
      if (String((error as { code?: unknown }).code).startsWith('SQLITE_BUSY')) return undefined;
      throw error;
    }
  }

  release(): void {
    this.#connection.close();
  }
}
