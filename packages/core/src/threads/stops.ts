import { interrupt } from './hooks.js';
import { Control } from './protocol.js';

/** How often, in ms, what was interrupted is looked at, and interrupted again: an interrupt that
 * comes between two statements of a script or a batch is in vain. */
const LOOK = 4;
/** What has not ended so long after it was stopped, in ms, will not soon: with an extension that
 * interrupts it, and without. */
const STUCK = { hooks: 1000, none: 50 };
/** How long, in ms, what shares a commit may go on, before it is interrupted, and the others undone. */
const SHARED = 100;

/** Stops what a thread runs, from the calling thread. */
export class Stops {
  /** Why this thread's statements cannot be interrupted; '' where they can. */
  reason = 'the thread is not open';
  /** Told of work that goes on although it was stopped. */
  onStuck: (() => void) | undefined;
  readonly #control: Int32Array;
  readonly #driver: string;
  /** What was stopped and may still run, and since when. */
  readonly #stopping = new Map<number, number>();
  #timer: NodeJS.Timeout | undefined;
  #all = false;

  constructor(control: Int32Array, driver: string) {
    this.#control = control;
    this.#driver = driver;
  }

  get canInterrupt(): boolean {
    return this.reason === '';
  }

  /** Gives up the work of a word; true where it has begun before, or is over. */
  giveUp(word: number, number: number): boolean {
    return Atomics.exchange(this.#control, word, ~number) === number;
  }

  /** The work of a word is over. */
  forget(word: number, number: number): void {
    Atomics.compareExchange(this.#control, word, ~number, 0);
  }

  isRunning(ticket: number): boolean {
    return Atomics.load(this.#control, Control.current) === ticket;
  }

  /** Interrupts the work of this ticket until it has ended; does nothing where it does not run. */
  interrupt(ticket: number): void {
    if (!this.#fire(ticket, 0)) return;
    this.#stopping.set(ticket, performance.now());
    this.#watch();
  }

  /** Interrupts whatever runs, until `close`. */
  interruptAll(): void {
    this.#all = true;
    this.#look();
    this.#watch();
  }

  close(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
    this.#stopping.clear();
    this.#all = false;
  }

  #watch(): void {
    if (this.#timer !== undefined) return;
    this.#timer = setInterval(() => this.#look(), LOOK);
    this.#timer.unref();
  }

  #look(): void {
    if (this.#all) {
      const ticket = Atomics.load(this.#control, Control.current);
      if (ticket !== 0) this.#fire(ticket, Number.POSITIVE_INFINITY);
    }
    const now = performance.now();
    for (const [ticket, since] of this.#stopping) {
      if (!this.#fire(ticket, now - since)) {
        this.#stopping.delete(ticket);
      } else if (now - since > (this.canInterrupt ? STUCK.hooks : STUCK.none)) {
        this.#stopping.set(ticket, Number.POSITIVE_INFINITY);
        this.onStuck?.();
      }
    }
    if (this.#stopping.size === 0 && !this.#all) {
      clearInterval(this.#timer);
      this.#timer = undefined;
    }
  }

  /** Interrupts the work of this ticket, stopped so many ms ago; false where it does not run. */
  #fire(ticket: number, waited: number): boolean {
    const control = this.#control;
    if (!this.isRunning(ticket)) return false;
    if (!this.canInterrupt) return true;
    if (waited < SHARED && Atomics.load(control, Control.shared) === 1) return true;
    // The thread goes on to its next statement only when this word is 0.
    Atomics.store(control, Control.interrupting, ticket);
    try {
      if (!this.isRunning(ticket)) return false;
      return interrupt(this.#driver, Atomics.load(control, Control.connection));
    } finally {
      Atomics.store(control, Control.interrupting, 0);
      Atomics.notify(control, Control.interrupting);
      // It may wait for a lock of another process.
      Atomics.notify(control, Control.hurry);
    }
  }
}
