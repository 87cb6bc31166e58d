import type { Statement } from '../statements/catalogue.js';
import type { BoundParams } from '../statements/params.js';
import { lostError } from '../threads/failure.js';
import type { Method } from '../threads/protocol.js';
import type { RemoteCursor } from '../threads/remote.js';
import { RemoteConnection } from '../threads/remote.js';
import type { Reader } from './readers.js';

let nextSession = 1;

/** A connection of a reader thread that somebody holds: for a lease, a snapshot or a stream. */
export class ReadSession {
  inTransaction = false;
  readonly #reader: Reader;
  readonly #id = nextSession++;
  readonly #remote: RemoteConnection;
  /** Whether nothing ran on it but reads, so that it may be used again. */
  #clean = true;
  #left = false;

  constructor(reader: Reader, driver: string) {
    this.#reader = reader;
    const { thread } = reader;
    this.#remote = new RemoteConnection({
      thread,
      driver,
      session: this.#id,
      send: (command) => thread.post([command]),
      state: (inTransaction) => {
        this.inTransaction = inTransaction;
      },
      lost: (cause) => lostError(cause, false),
    });
  }

  async open(snapshot: boolean): Promise<void> {
    this.#reader.sessions++;
    const session = this.#id;
    try {
      await this.#remote.call((task) => ({ type: 'session', task, session, snapshot }));
    } catch (error) {
      this.#reader.sessions--;
      this.#left = true;
      throw error;
    }
  }

  execute(statement: Statement, method: Method, params: BoundParams): Promise<unknown> {
    if (!statement.isRead) this.#clean = false;
    return this.#remote.execute(statement, method, params);
  }

  exec(script: string): Promise<unknown> {
    this.#clean = false;
    return this.#remote.exec(script, false);
  }

  cursor(statement: Statement, method: Method, params: BoundParams, rows: number): RemoteCursor {
    if (!statement.isRead) this.#clean = false;
    return this.#remote.cursor(statement, method, params, rows);
  }

  leave(): void {
    if (this.#left) return;
    this.#left = true;
    this.#reader.sessions--;
    const { thread } = this.#reader;
    if (thread.alive) thread.post([{ type: 'leave', session: this.#id, clean: this.#clean }]);
  }
}
