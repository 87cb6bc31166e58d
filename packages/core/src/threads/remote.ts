import type { Statement } from '../statements/catalogue.js';
import type { BoundParams } from '../statements/params.js';
import { anew, errorOf, thrownLater } from './failure.js';
import type { Line, Reply } from './line.js';
import type { Command, Failure, Method } from './protocol.js';
import { Failed } from './result.js';
import { isInterrupted } from './running.js';

/** What a caller of one statement gives it up by. */
export class StopHandle {
  #stop: (() => boolean) | undefined;
  #isStopped = false;

  /** Whether it was given up before it was sent. */
  get isStopped(): boolean {
    return this.#isStopped;
  }

  /** It was sent: this stops it. */
  sent(stop: () => boolean): void {
    this.#stop = stop;
  }

  /** Gives it up; false where it has not begun, and will not. */
  stop(): boolean {
    this.#isStopped = true;
    return this.#stop?.() ?? false;
  }
}

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
  /** Calls that are not answered. */
  readonly #open = new Set<number>();
  /** Why it was stopped. */
  #stopped: Error | undefined;

  constructor(route: RemoteRoute) {
    this.#route = route;
  }

  execute(
    statement: Statement,
    method: Method,
    params: BoundParams,
    handle?: StopHandle,
  ): Promise<unknown> {
    const { session, thread } = this.#route;
    return this.#call((task) => {
      const words = thread.wordsOf(statement, method, params);
      return { type: 'execute', task, session, words };
    }, handle);
  }

  exec(script: string, alone: boolean, handle?: StopHandle): Promise<unknown> {
    const { session } = this.#route;
    return this.#call((task) => ({ type: 'exec', task, session, script, alone }), handle);
  }

  /** Stops every call that is not answered: it ends with this error. */
  stop(error: Error): void {
    this.#stopped ??= error;
    for (const task of this.#open) this.#route.thread.stop(task);
  }

  /** Gives up every call that is not answered; false where none has begun, and none will. */
  giveUp(): boolean {
    // Where all are answered, their callers are about to hear.
    let begun = this.#open.size === 0;
    for (const task of this.#open) if (this.#route.thread.stop(task)) begun = true;
    return begun;
  }

  /** Any command that is answered with a reply. */
  call(make: (task: number) => Command): Promise<unknown> {
    return this.#call(make);
  }

  failed(failure: Failure): Promise<never> {
    return thrownLater(() => errorOf(failure, this.#route.driver));
  }

  #call(make: (task: number) => Command, handle?: StopHandle): Promise<unknown> {
    const route = this.#route;
    return new Promise((resolve) => {
      const task = route.thread.expect({
        reply: (reply) => {
          this.#open.delete(task);
          resolve(this.result(reply));
        },
        lost: (cause, committing) => {
          this.#open.delete(task);
          resolve(thrownLater(() => route.lost(cause, committing)));
        },
      });
      this.#open.add(task);
      route.send(make(task));
      handle?.sent(() => route.thread.stop(task));
    });
  }

  #error(failure: Failure): Error {
    const stopped = isInterrupted(failure) ? this.#stopped : undefined;
    return stopped === undefined ? errorOf(failure, this.#route.driver) : anew(stopped);
  }

  /** What a reply says: an error is a promise that is rejected. */
  result(reply: Reply): unknown {
    const { thread } = this.#route;
    if (reply.type === 'checkpoint') return reply;
    this.#route.state(reply.inTransaction);
    if (reply.type === 'done') {
      const { failure } = reply;
      return failure === undefined ? undefined : thrownLater(() => this.#error(failure));
    }
    thread.decoder.read(reply.words);
    const result = thread.decoder.next();
    if (result instanceof Failed) return thrownLater(() => this.#error(result.failure));
    return reply.type === 'chunk' ? { rows: result as unknown[], done: reply.done } : result;
  }

  /** Opens a stream and fetches its first rows. */
  cursor(statement: Statement, method: Method, params: BoundParams, rows: number): RemoteCursor {
    const { session, thread } = this.#route;
    const cursor = nextCursor++;
    let opened = false;
    /** The fetch that is under way. */
    let handle: StopHandle | undefined;
    const next = (task: number): Command => {
      if (opened) return { type: 'fetch', task, session, cursor, rows };
      opened = true;
      const words = thread.wordsOf(statement, method, params);
      return { type: 'cursor', task, session, cursor, words, rows };
    };
    return {
      fetch: () => {
        const mine = new StopHandle();
        handle = mine;
        const over = () => {
          if (handle === mine) handle = undefined;
        };
        const fetched = this.#call(next, mine) as Promise<Chunk>;
        fetched.then(over, over);
        return fetched;
      },
      close: () => {
        handle?.stop();
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
