import { availableParallelism } from 'node:os';

/** How long, in ms, putting a core to sleep and waking it again may take: 45 us were measured on
 * virtual machines, each way. */
const WAKING = 0.05;
/** How often looking may be in vain before it is given up. */
const PATIENCE = 8;
/** Looks between two readings of the clock. */
const LOOKS = 64;

/** Where there is one core only, whoever looks keeps away what it looks for. */
const mayLook = availableParallelism() > 1;

/**
 * Waits until a word of shared memory changes: looking first, while that has paid of late, since
 * while statements follow one another closely the next comes sooner than a core wakes.
 */
export class WordWaiter {
  readonly #words: Int32Array;
  readonly #index: number;
  /** How long a look lasts before the thread goes to sleep, in ms. */
  readonly #longestLook: number;
  #patience = PATIENCE;

  constructor(words: Int32Array, index: number, longestLook: number) {
    this.#words = words;
    this.#index = index;
    this.#longestLook = longestLook;
  }

  /** Waits while the word is `seen`, at most `timeout` ms; false where it did not change. */
  wait(seen: number, timeout: number): boolean {
    if (this.isHopeful && this.tryLook(seen)) return true;
    const started = performance.now();
    const changed = Atomics.wait(this.#words, this.#index, seen, timeout) !== 'timed-out';
    if (changed) this.came(performance.now() - started);
    return changed;
  }

  /** Whether looking has paid of late. */
  get isHopeful(): boolean {
    return mayLook && this.#patience > 0;
  }

  /** A change came so many ms after it was asked for, without anybody having looked for it. */
  came(after: number): void {
    if (after < this.#longestLook + WAKING) this.#patience = PATIENCE;
  }

  /** The same as `look`, and remembers a look in vain. */
  tryLook(seen: number): boolean {
    if (this.look(seen)) return true;
    this.waitedInVain();
    return false;
  }

  waitedInVain(): void {
    this.#patience--;
  }

  /** Looks for a change, and does not sleep. */
  look(seen: number): boolean {
    const until = performance.now() + this.#longestLook;
    do {
      for (let i = 0; i < LOOKS; i++) {
        if (Atomics.load(this.#words, this.#index) !== seen) {
          this.#patience = PATIENCE;
          return true;
        }
      }
    } while (performance.now() < until);
    return false;
  }
}
