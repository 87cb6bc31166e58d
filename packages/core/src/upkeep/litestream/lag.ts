import type { LogEvent } from './log.js';

/** How much later than it should Litestream may look, on a busy machine, in ms. */
const SLACK = 300;

/**
 * How far the replica is behind. Litestream tells when it begins to send and when that has arrived;
 * when something was last written, the WAL tells by its time. Litestream looks at the WAL once an
 * interval, and sends once an interval: what was written before those two has been seen. All times
 * are of the clock, in ms.
 */
export class Lag {
  readonly #interval: number;
  /** When sending last began; and whether it goes on. */
  #began = Number.NEGATIVE_INFINITY;
  #sending = false;
  #failed = false;
  /** The last transaction that is being sent, and the last that has arrived, where they are told. */
  #until = 0;
  #arrived = 0;
  /** Since when something may not have arrived; undefined while everything has. */
  #since: number | undefined;
  #looked: number;

  /** @param interval how often Litestream sends, in ms */
  constructor(interval: number, now: number) {
    this.#interval = interval + Math.min(1000, interval) + SLACK;
    this.#looked = now;
    // What an earlier process left is not known to have arrived.
    this.#since = now;
  }

  /** It runs (again), from `now` on. */
  started(now: number): void {
    this.#began = now;
    this.#sending = false;
    this.#failed = false;
  }

  stopped(): void {
    this.#failed = true;
    this.#sending = false;
  }

  heard(event: LogEvent): void {
    if (event.type === 'sending') {
      this.#began = event.at;
      this.#until = event.until;
      // 0.5 also says so when there is nothing left to send.
      this.#sending = event.until === 0 || event.until > this.#arrived;
    } else if (event.type === 'sent') {
      this.#failed = false;
      this.#arrived = Math.max(this.#arrived, event.until);
      if (this.#arrived < this.#until) return;
      this.#sending = false;
      const seen = this.#began - this.#interval;
      if (this.#since !== undefined && seen > this.#since) this.#since = seen;
    } else if (event.type === 'error') {
      this.#failed = true;
    }
  }

  /** Looks at the time of the last write; to be called about once an interval. */
  look(written: number, now: number): void {
    if (this.#isEven(written, now)) this.#since = undefined;
    // It was written after the last look, which found nothing.
    else this.#since ??= Math.min(this.#looked, now);
    this.#looked = now;
  }

  /** How long, in ms, the oldest write may have waited for the replica; 0 where it has all. */
  ms(written: number, now: number): number {
    this.look(written, now);
    return this.#since === undefined ? 0 : Math.max(0, now - this.#since);
  }

  /** Whether everything that was written has arrived. */
  #isEven(written: number, now: number): boolean {
    if (this.#failed || this.#sending) return false;
    // Nothing more was sent for longer than it takes to find it: nothing was left.
    return written <= this.#began && now - this.#began > this.#interval;
  }
}
