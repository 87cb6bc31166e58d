/** Keeps so many ms between two pieces of work: backpressure. */
export class Brake {
  ms = 0;
  #last = 0;
  #timer: NodeJS.Timeout | undefined;
  readonly #again: () => void;

  /** @param again called when what was kept may pass */
  constructor(again: () => void) {
    this.#again = again;
  }

  /** Whether the next piece may pass now. */
  passes(now: number): boolean {
    if (this.#timer !== undefined) return false;
    const left = this.#last + this.ms - now;
    if (left <= 0) {
      this.#last = now;
      return true;
    }
    // Whoever waits for what is kept keeps the process alive through the writer's thread.
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      this.#again();
    }, left);
    this.#timer.unref();
    return false;
  }

  release(): void {
    this.ms = 0;
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }
}
