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

/** Whether waiting awake has paid of late: only where answers come soon is it worth a core. */
export class Patience {
  readonly #longest: number;
  #left = PATIENCE;

  /** @param longest how many ms are waited awake. */
  constructor(longest: number) {
    this.#longest = longest;
  }

  get isLeft(): boolean {
    return mayLook && this.#left > 0;
  }

  /** What was waited for came so many ms after it was asked for. */
  came(after: number): void {
    if (after < this.#longest + WAKING) this.#left = PATIENCE;
  }

  waitedInVain(): void {
    this.#left--;
  }
}

/**
 * Waits until a word of shared memory changes: looking first, while that has paid of late, since
 * while statements follow one another closely the next comes sooner than a core wakes.
 */
export class WordWaiter {
  readonly #words: Int32Array;
  readonly #index: number;
  readonly #sleeping: number;
  /** How long a look lasts before the thread goes to sleep, in ms. */
  readonly #longestLook: number;
  readonly #patience: Patience;

  /** @param sleeping the word that is 1 while nothing but a notification wakes this thread. */
  constructor(words: Int32Array, index: number, sleeping: number, longestLook: number) {
    this.#words = words;
    this.#index = index;
    this.#sleeping = sleeping;
    this.#longestLook = longestLook;
    this.#patience = new Patience(longestLook);
  }

  /** Waits while the word is `seen`, at most `timeout` ms; false where it did not change. */
  wait(seen: number, timeout: number): boolean {
    const started = performance.now();
    if (this.#patience.isLeft) {
      if (this.#look(seen, started + this.#longestLook)) return true;
      this.#patience.waitedInVain();
    }
    Atomics.store(this.#words, this.#sleeping, 1);
    const changed = Atomics.wait(this.#words, this.#index, seen, timeout) !== 'timed-out';
    Atomics.store(this.#words, this.#sleeping, 0);
    if (changed) this.#patience.came(performance.now() - started);
    return changed;
  }

  /** Looks for a change, and does not sleep. */
  #look(seen: number, until: number): boolean {
    do {
      for (let i = 0; i < LOOKS; i++) {
        if (Atomics.load(this.#words, this.#index) !== seen) {
          this.#patience.came(0);
          return true;
        }
      }
    } while (performance.now() < until);
    return false;
  }
}
