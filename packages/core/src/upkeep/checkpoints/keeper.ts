import { PoolError } from '../../errors.js';
import type { ConnectionOptions } from '../../threads/connection.js';
import { errorOf, lostError } from '../../threads/failure.js';
import type { CheckpointOutcome, Failure } from '../../threads/protocol.js';
import { Thread } from '../../threads/thread.js';

/** Behind the writer (0) and the readers (1 to 16). */
const PLACE = 17;

export interface KeeperOwner {
  /** The thread died; the next checkpoint starts another. */
  lost(cause: unknown): void;
}

/**
 * The upkeep thread, seen from the calling thread. It starts with the first checkpoint: a script
 * that writes little never has one.
 */
export class Keeper {
  readonly #connection: ConnectionOptions;
  readonly #owner: KeeperOwner;
  #thread: Thread | undefined;
  /** Why no thread may be started any more. */
  #over: Error | undefined;

  constructor(connection: ConnectionOptions, owner: KeeperOwner) {
    this.#connection = connection;
    this.#owner = owner;
  }

  get isUp(): boolean {
    return this.#thread !== undefined;
  }

  /** Moves what no reader is in the way of, where at least so many pages are to be moved. */
  checkpoint(least: number): Promise<CheckpointOutcome> {
    if (this.#over !== undefined) return Promise.reject(lostError(this.#over, false));
    this.#thread ??= this.#start();
    const thread = this.#thread;
    return new Promise((resolve, reject) => {
      const task = thread.expect({
        reply: (reply) => {
          if (reply.type === 'checkpoint') return resolve(reply);
          const failure = reply.type === 'done' ? reply.failure : undefined;
          reject(this.#error(failure ?? { name: 'Error', message: 'no checkpoint was made' }));
        },
        lost: (cause) =>
          reject(cause instanceof OpenFailed ? cause.error : lostError(cause, false)),
      });
      thread.post([{ type: 'checkpoint', task, mode: 'PASSIVE', least, patience: 0 }]);
    });
  }

  /** Ends the thread once it is idle; no other is started. */
  async close(): Promise<void> {
    this.#over = new PoolError('POOL_CLOSED', 'the pool is closed');
    const thread = this.#thread;
    this.#thread = undefined;
    if (thread === undefined || !thread.alive) return;
    await new Promise<void>((resolve) => {
      const task = thread.expect({ reply: () => resolve(), lost: () => resolve() });
      thread.post([{ type: 'close', task, checkpoint: false }]);
    });
  }

  /** Ends the thread as soon as its statement lets it. */
  async terminate(cause: Error): Promise<void> {
    this.#over = cause;
    await this.#end(cause);
  }

  async #end(cause: Error): Promise<void> {
    const thread = this.#thread;
    this.#thread = undefined;
    await thread?.terminate(cause);
  }

  #start(): Thread {
    const thread: Thread = new Thread('upkeep', this.#connection, new Int32Array(0), PLACE, {
      opened: () => {},
      failed: (failure) => void this.#end(new OpenFailed(this.#error(failure))),
      answer: () => {},
      handled: () => {},
      lost: (cause) => {
        if (this.#thread !== thread) return;
        this.#thread = undefined;
        this.#owner.lost(cause);
      },
      busy: () => false,
    });
    thread.post([{ type: 'open' }]);
    return thread;
  }

  #error(failure: Failure): Error {
    return errorOf(failure, this.#connection.driver);
  }
}

/** Why a thread was ended that could not open the file. */
class OpenFailed extends Error {
  readonly error: Error;

  constructor(error: Error) {
    super(error.message);
    this.error = error;
  }
}
