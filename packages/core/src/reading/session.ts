import type { Statement } from '../statements/catalogue.js';
import type { BoundParams } from '../statements/params.js';
import { lostError } from '../threads/failure.js';
import type { Method } from '../threads/protocol.js';
import type { RemoteCursor, StopHandle } from '../threads/remote.js';
import { RemoteConnection } from '../threads/remote.js';
import type { Thread } from '../threads/thread.js';
import type { Hold } from './hold.js';
import type { Reader } from './retired.js';

let nextSession = 1;

/** A connection of a reader thread that somebody holds: for a lease, a snapshot or a stream. */
export class ReadSession {
  inTransaction = false;
  readonly #reader: Reader;
  readonly #thread: Thread;
  readonly #hold: Hold;
  readonly #id = nextSession++;
  readonly #remote: RemoteConnection;
  /** Whether nothing ran on it but reads, so that it may be used again. */
  #clean = true;
  #left = false;
  /** Calls that are not answered, and streams that are not over. */
  #underWay = 0;
  #streams = 0;

  constructor(reader: Reader, hold: Hold, driver: string) {
    this.#reader = reader;
    this.#hold = hold;
    const { thread } = reader;
    this.#thread = thread;
    this.#remote = new RemoteConnection({
      thread,
      driver,
      session: this.#id,
      send: (command) => {
        if ('task' in command) this.#underWay++;
        thread.post([command], 'statement');
      },
      state: (inTransaction) => {
        this.#underWay--;
        this.inTransaction = inTransaction;
      },
      lost: (cause) => lostError(cause, false),
    });
  }

  /** Whether it keeps a state of the database, as far as its answers and its calls tell. */
  get pins(): boolean {
    if (!this.#thread.alive) return false;
    return this.inTransaction || this.#underWay > 0 || this.#streams > 0;
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

  execute(
    statement: Statement,
    method: Method,
    params: BoundParams,
    handle?: StopHandle,
  ): Promise<unknown> {
    if (!statement.isRead) this.#clean = false;
    return this.#begun(() => this.#remote.execute(statement, method, params, handle));
  }

  exec(script: string, _alone?: boolean, handle?: StopHandle): Promise<unknown> {
    this.#clean = false;
    return this.#begun(() => this.#remote.exec(script, false, handle));
  }

  /** Stops what runs on it, and what was sent and has not begun. */
  stop(error: Error): void {
    this.#remote.stop(error);
  }

  cursor(statement: Statement, method: Method, params: BoundParams, rows: number): RemoteCursor {
    if (!statement.isRead) this.#clean = false;
    const cursor = this.#remote.cursor(statement, method, params, rows);
    let state: 'new' | 'open' | 'over' = 'new';
    const end = () => {
      if (state === 'open') this.#streams--;
      state = 'over';
    };
    const fetch = async () => {
      if (state === 'new') {
        state = 'open';
        this.#streams++;
      }
      try {
        const chunk = await cursor.fetch();
        if (chunk.done) end();
        return chunk;
      } catch (error) {
        end();
        throw error;
      }
    };
    return {
      fetch: () => (state === 'new' ? this.#begun(fetch) : fetch()),
      close: () => {
        end();
        cursor.close();
      },
    };
  }

  leave(): void {
    if (this.#left) return;
    this.#left = true;
    this.#reader.sessions--;
    const { thread } = this.#reader;
    if (thread.alive) thread.post([{ type: 'leave', session: this.#id, clean: this.#clean }]);
    this.#reader.left();
  }

  /** What would begin to read waits where reads are held; what has begun goes on. */
  #begun<T>(work: () => Promise<T>): Promise<T> {
    if (!this.#hold.isOn || this.pins) return work();
    return this.#hold.over().then(work);
  }
}
