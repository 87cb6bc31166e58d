import type { Deadlines } from './deadlines.js';
import { PoolError, shorten } from './errors.js';
import { checkMilliseconds } from './option-checks.js';
import type { CallOptions } from './surface.js';
import { isInterrupted } from './threads/running.js';

/** How long, in ms, whoever gave up a write waits to hear what became of it. */
const GRACE = 500;

/**
 * What giving up a call comes to: `'nothing'` of it is stored, nor will be; it is `'unknown'`; or
 * the answer tells `'soon'`, since it was interrupted.
 */
export type GivenUp = 'nothing' | 'unknown' | 'soon';

/** Keeps the limits of calls: `signal`, `timeout`, and the pool's `statementTimeout`. */
export class CallLimits {
  readonly #deadlines: Deadlines;
  readonly #statementTimeout: number;

  constructor(deadlines: Deadlines, statementTimeout: number) {
    this.#deadlines = deadlines;
    this.#statementTimeout = statementTimeout;
  }

  /** Whether a call with these options has limits. */
  apply(options: CallOptions | undefined): boolean {
    return options !== undefined
      ? options.signal !== undefined || (options.timeout ?? this.#statementTimeout) !== 0
      : this.#statementTimeout > 0;
  }

  aborted(signal: AbortSignal, sql: string): PoolError {
    return new PoolError('POOL_ABORTED', `aborted by its signal: ${shorten(sql)}`, {
      cause: signal.reason,
    });
  }

  #timedOut(ms: number, sql: string): PoolError {
    return new PoolError(
      'POOL_TIMEOUT',
      `not done within its timeout of ${ms} ms: ${shorten(sql)}`,
    );
  }

  /**
   * Runs `start` with the caller's limits: the caller hears at once, whatever the thread is doing,
   * or as soon as it is known what became of a write. `giveUp` stops it.
   *
   * @param partly whether some of it may be stored where it is interrupted: scripts.
   */
  keep<T>(
    options: CallOptions | undefined,
    sql: string,
    start: () => Promise<T>,
    giveUp: () => GivenUp,
    partly = false,
  ): Promise<T> {
    const signal = options?.signal;
    const timeout = options?.timeout ?? this.#statementTimeout;
    try {
      checkMilliseconds('timeout', timeout);
    } catch (error) {
      return Promise.reject(error);
    }
    if (signal?.aborted === true) return Promise.reject(this.aborted(signal, sql));
    if (signal === undefined && timeout === 0) return start();
    // The promise below is settled by whichever comes first, so no chain of promises leads from an
    // error to the caller: the caller's lines are taken now.
    const caller = { stack: '' };
    Error.captureStackTrace(caller, this.keep);
    return new Promise<T>((resolve, reject) => {
      const fail = (error: unknown) => reject(withCaller(error, caller));
      /** Why it was given up, once it was. */
      let reason: PoolError | undefined;
      const unknown = () => {
        fail(
          new PoolError(
            'POOL_OUTCOME_UNKNOWN',
            `a write was left before it was answered: it may or may not be stored: ${shorten(sql)}`,
            { cause: reason },
          ),
        );
      };
      const leave = (make: () => PoolError) => {
        finish();
        reason = make();
        const outcome = giveUp();
        if (outcome === 'nothing') fail(reason);
        else if (outcome === 'unknown') unknown();
        else deadline = this.#deadlines.set(GRACE, unknown);
      };
      let deadline =
        timeout === 0
          ? undefined
          : this.#deadlines.set(timeout, () => leave(() => this.#timedOut(timeout, sql)));
      const onAbort = () => leave(() => this.aborted(signal as AbortSignal, sql));
      signal?.addEventListener('abort', onAbort, { once: true });
      const finish = () => {
        this.#deadlines.clear(deadline);
        signal?.removeEventListener('abort', onAbort);
      };
      start().then(
        (result) => {
          finish();
          resolve(result);
        },
        (error) => {
          finish();
          if (reason === undefined || !isInterrupted(error)) fail(error);
          else if (partly) unknown();
          else fail(reason);
        },
      );
    });
  }
}

/** Adds the lines of the caller to an error's stack, which would end at a timer or a message. */
function withCaller<E>(error: E, caller: { stack: string }): E {
  if (!(error instanceof Error)) return error;
  const lines = caller.stack.slice(caller.stack.indexOf('\n'));
  if (error.stack?.includes(lines) === false) error.stack += lines;
  return error;
}
