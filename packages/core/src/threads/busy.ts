import { Control } from './protocol.js';
import { interrupted, isGivenUp } from './running.js';

export interface RetryPolicy {
  attempts: number;
  baseDelay: number;
  maxDelay: number;
  jitter: number;
}

/** How often, and how far apart, a taken lock is tried before delays begin to grow. A lock is
 * mostly held for the length of one commit: whoever asks often is served soon and fairly. */
const SHORT_POLLS = 200;
const SHORT_DELAY = 0.25;
/** So often, and for so long, in ms, transactions leave the lock alone that follow one another
 * closely: the short polls of another process would hardly ever find it free. */
const TURN = 20;
const PAUSE = 0.8;
/** Where it was free for so much of a turn between them, in ms, others had their chance. */
const FREE = 2;
/** Whoever has not had the lock for so long, in ms, has given way already. */
const IDLE = 15;

/** Whether the statement never began because another connection holds the lock. */
export function isBusy(error: unknown): boolean {
  // Not SQLITE_BUSY_SNAPSHOT: only a new transaction can help there, and whoever runs the
  // statement knows whether one may be begun. https://sqlite.org/rescode.html#busy_snapshot
  const code = (error as { code?: unknown } | null)?.code;
  return code === 'SQLITE_BUSY' || code === 'SQLITE_BUSY_RECOVERY';
}

/**
 * Waits for locks that other processes hold. SQLite's own busy handler backs off to 100 ms and
 * starves whoever came late; this one polls shortly at first, then backs off with jitter.
 */
export class BusyWaiter {
  /** Retries since they were last read. */
  retries = 0;
  readonly timeout: number;
  readonly #policy: RetryPolicy;
  readonly #control: Int32Array;
  /** When this process last left the lock alone. */
  #gaveWayAt = 0;
  /** When a transaction last began, and when the last one left the lock. */
  #usedAt = 0;
  #leftAt = 0;
  /** For how long the lock was free in this turn, in ms. */
  #free = 0;

  constructor(timeout: number, policy: RetryPolicy, control: Int32Array) {
    this.timeout = timeout;
    this.#policy = policy;
    this.#control = control;
  }

  /**
   * Runs `work`, which must have had no effect when it fails with SQLITE_BUSY. The wait ends when
   * the work of this word and number is given up.
   */
  run<T>(work: () => T, word = 0, number = 0): T {
    try {
      return work();
    } catch (error) {
      if (!isBusy(error)) throw error;
      return this.#again(work, error as Error, word, number);
    }
  }

  /** Lets other processes have the lock, where this one has had it for long. */
  giveWay(): void {
    const now = performance.now();
    if (now - this.#usedAt > IDLE) this.#turnBegins(now);
    else this.#free += now - this.#leftAt;
    this.#usedAt = now;
    if (now - this.#gaveWayAt < TURN) return;
    if (this.#free < FREE) Atomics.wait(this.#control, Control.hurry, 0, PAUSE);
    this.#turnBegins(performance.now());
  }

  /** A transaction has left the lock. */
  left(): void {
    this.#leftAt = performance.now();
  }

  #turnBegins(now: number): void {
    this.#gaveWayAt = now;
    this.#usedAt = now;
    this.#free = 0;
  }

  #again<T>(work: () => T, first: Error, word: number, number: number): T {
    const started = performance.now();
    let error = first;
    for (let attempt = 1; ; attempt++) {
      const waited = performance.now() - started;
      const left = this.timeout - waited;
      const hurry = Atomics.load(this.#control, Control.hurry) === 1;
      if (attempt > this.#policy.attempts || left <= 0 || hurry) {
        throw this.#told(error, `tried ${attempt} times in`, waited);
      }
      Atomics.wait(this.#control, Control.hurry, 0, Math.min(left, this.#delay(attempt)));
      if (word > 0 && isGivenUp(this.#control, word, number)) throw interrupted();
      this.retries++;
      try {
        return work();
      } catch (next) {
        if (!isBusy(next)) throw next;
        error = next as Error;
      }
    }
  }

  /** Runs `work` while SQLite itself does the waiting; the error tells of it all the same. */
  tell<T>(work: () => T): T {
    const started = performance.now();
    try {
      return work();
    } catch (error) {
      if (!isBusy(error)) throw error;
      throw this.#told(error as Error, 'waited', performance.now() - started);
    }
  }

  #told(error: Error, what: string, waited: number): Error {
    error.message +=
      ` (another connection holds the lock: ${what} ${Math.round(waited)} ms, ` +
      `busyTimeout is ${this.timeout} ms)`;
    return error;
  }

  #delay(attempt: number): number {
    if (attempt <= SHORT_POLLS) return SHORT_DELAY;
    const { baseDelay, maxDelay, jitter } = this.#policy;
    const full = Math.min(maxDelay, baseDelay * 2 ** Math.min(attempt - SHORT_POLLS, 30));
    return full * (1 - jitter * Math.random());
  }
}
