import type { Statement } from '../statements/catalogue.js';
import type { BoundParams } from '../statements/params.js';
import { errorOf, thrownLater } from './failure.js';
import type { Line, Reply } from './line.js';
import { type Command, type Failure, type Method, pushStatement, type Words } from './protocol.js';
import { Failed } from './result.js';

/** Some rows of a stream. */
export interface Chunk {
  rows: unknown[];
  done: boolean;
}

/** How a remote connection reaches its thread. */
export interface RemoteRoute {
  readonly thread: Line;
  readonly session: number;
  readonly driver: string;
  send(command: Command): void;
  /** Told with each reply whether a transaction is open there. */
  state(inTransaction: boolean): void;
  /** The error for a caller whose thread died. */
  lost(cause: unknown, committing: boolean): Error;
}

/** Never used twice: a stream that is left late must not end that of who has the writer now. */
let nextCursor = 1;

/** A number for a stream of another process, which must not be that of any other either. */
export function newCursor(): number {
  return nextCursor++;
}

/** Statements on one connection of another thread, which the caller holds. */
export class RemoteConnection {
  readonly #route: RemoteRoute;

  constructor(route: RemoteRoute) {
    this.#route = route;
  }

  execute(statement: Statement, method: Method, params: BoundParams): Promise<unknown> {
    const { session, thread } = this.#route;
    return this.#call((task) => {
      thread.introduce(statement);
      const words: Words = [];
      pushStatement(words, statement.id, method, params);
      return { type: 'execute', task, session, words };
    });
  }

  exec(script: string, alone: boolean): Promise<unknown> {
    const { session } = this.#route;
    return this.#call((task) => ({ type: 'exec', task, session, script, alone }));
  }

  /** Any command that is answered with a reply. */
  call(make: (task: number) => Command): Promise<unknown> {
    return this.#call(make);
  }

  failed(failure: Failure): Promise<never> {
    return thrownLater(() => errorOf(failure, this.#route.driver));
  }

  #call(make: (task: number) => Command): Promise<unknown> {
    const route = this.#route;
    return new Promise((resolve) => {
      const task = route.thread.expect({
        reply: (reply) => resolve(this.#result(reply)),
        lost: (cause, committing) => resolve(thrownLater(() => route.lost(cause, committing))),
      });
      route.send(make(task));
    });
  }

  #result(reply: Reply): unknown {
    const { driver, thread } = this.#route;
    if (reply.type === 'checkpoint') return reply;
    this.#route.state(reply.inTransaction);
    if (reply.type === 'done') {
      const { failure } = reply;
      return failure === undefined ? undefined : thrownLater(() => errorOf(failure, driver));
    }
    thread.decoder.read(reply.words);
    const result = thread.decoder.next();
    if (result instanceof Failed) return thrownLater(() => errorOf(result.failure, driver));
    return reply.type === 'chunk' ? { rows: result as unknown[], done: reply.done } : result;
  }

  /** Opens a stream and fetches its first rows. */
  cursor(statement: Statement, method: Method, params: BoundParams, rows: number): RemoteCursor {
    const { session, thread } = this.#route;
    const cursor = nextCursor++;
    let opened = false;
    const next = (task: number): Command => {
      if (opened) return { type: 'fetch', task, session, cursor, rows };
      opened = true;
      thread.introduce(statement);
      const words: Words = [];
      pushStatement(words, statement.id, method, params);
      return { type: 'cursor', task, session, cursor, words, rows };
    };
    return {
      fetch: () => this.#call(next) as Promise<Chunk>,
      close: () => {
        if (opened && thread.alive) this.#route.send({ type: 'drop', session, cursor });
      },
    };
  }
}

/** A stream on a thread: asked for chunks, one at a time. */
export interface RemoteCursor {
  fetch(): Promise<Chunk>;
  close(): void;
}
