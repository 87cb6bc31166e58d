/**
 * Watches the event loop: a timer that is due every millisecond, and the longest time that passed
 * between two of its calls. So long a server would have answered nobody.
 */
export class Standstill {
  #last = performance.now();
  #longest = 0;
  readonly #timer = setInterval(() => this.#look(), 1);

  /** Ends the watch; returns the longest standstill in ms. */
  async end(): Promise<number> {
    // What blocked the loop last is seen by the timer's next call.
    await new Promise((resolve) => setTimeout(resolve, 2));
    clearInterval(this.#timer);
    this.#look();
    return this.#longest;
  }

  #look(): void {
    const now = performance.now();
    this.#longest = Math.max(this.#longest, now - this.#last);
    this.#last = now;
  }
}
