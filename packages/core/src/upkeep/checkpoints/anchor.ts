import { Connection, type ConnectionOptions, type Setup } from '../../threads/connection.js';

/**
 * A read-only connection that is opened where nobody of this pool may checkpoint: SQLite does so
 * by itself when the last connection to a file closes, unless that one cannot write. So this one
 * stays open until the writer is gone, also where the process ends without `close()`: its threads
 * end before it. https://sqlite.org/c3ref/close.html
 */
export class Anchor {
  readonly #connection: Connection;

  constructor(options: ConnectionOptions, setup: Setup | undefined) {
    this.#connection = new Connection(options, 'read', 100);
    try {
      this.#connection.configure(setup);
      // The lock that says that somebody has the file open comes with the first read, and stays.
      this.#connection.pragma('schema_version');
    } catch (error) {
      this.#connection.close();
      throw error;
    }
  }

  close(): void {
    this.#connection.close();
  }
}
