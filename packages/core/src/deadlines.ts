interface Deadline {
  at: number;
  expire(): void;
}

/**
 * Limits in time, with one timer for all of them: most never expire, so setting and clearing one
 * must cost next to nothing.
 */
export class Deadlines {
  readonly #open = new Set<Deadline>();
  #timer: NodeJS.Timeout | undefined;
  #timerAt = Number.POSITIVE_INFINITY;

  /** Calls `expire` after so many ms, unless what is returned is cleared before. */
  set(ms: number, expire: () => void): Deadline {
    const deadline = { at: performance.now() + ms, expire };
    this.#open.add(deadline);
    if (deadline.at < this.#timerAt) this.#arm(deadline.at);
    return deadline;
  }

  clear(deadline: Deadline | undefined): void {
    if (deadline !== undefined) this.#open.delete(deadline);
  }

  close(): void {
    this.#open.clear();
    clearTimeout(this.#timer);
  }

  #arm(at: number): void {
    clearTimeout(this.#timer);
    this.#timerAt = at;
    this.#timer = setTimeout(() => this.#look(), Math.max(1, at - performance.now()));
    // Whoever waits for something of the pool keeps the process alive through its thread.
    this.#timer.unref();
  }

  #look(): void {
    this.#timerAt = Number.POSITIVE_INFINITY;
    const now = performance.now();
    let next = Number.POSITIVE_INFINITY;
    for (const deadline of this.#open) {
      if (deadline.at <= now) {
        this.#open.delete(deadline);
        deadline.expire();
      } else if (deadline.at < next) {
        next = deadline.at;
      }
    }
    if (next < this.#timerAt) this.#arm(next);
  }
}

export type { Deadline };
