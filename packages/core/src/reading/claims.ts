/** How many one-shot reads may be with the threads at once; the others wait. */
const SLOTS = 4096;

/** What stands in the place of a thread's mark where its task was given up. */
const GIVEN_UP = -1_000_000;

/**
 * The claim words of reads, in memory that all threads share. A word holds a task's ticket until
 * a thread swaps it for its own mark: so a task may be sent to several threads, and one runs it.
 * Tickets are never used twice in living memory, so a stale copy of an old task claims nothing.
 */
export class Claims {
  readonly words = new Int32Array(new SharedArrayBuffer(SLOTS * 4));
  readonly #free: number[] = [];
  #ticket = 0;

  constructor() {
    for (let slot = SLOTS - 1; slot >= 0; slot--) this.#free.push(slot);
  }

  get taken(): number {
    return SLOTS - this.#free.length;
  }

  /** A slot with a new ticket in it; undefined when all are taken. */
  take(): number | undefined {
    const slot = this.#free.pop();
    if (slot === undefined) return undefined;
    this.#ticket = this.#ticket === 0x7fffffff ? 1 : this.#ticket + 1;
    Atomics.store(this.words, slot, this.#ticket);
    return slot;
  }

  ticket(slot: number): number {
    return Atomics.load(this.words, slot);
  }

  isFreeFor(slot: number, ticket: number): boolean {
    return Atomics.load(this.words, slot) === ticket;
  }

  /** Whether the thread at `place` took the task of this slot. */
  isTakenBy(slot: number, place: number): boolean {
    const word = Atomics.load(this.words, slot);
    return word === -1 - place || word === GIVEN_UP - place;
  }

  /** Lets a thread that has taken a task pass over it, where it has not begun. */
  giveUp(slot: number, place: number): void {
    Atomics.compareExchange(this.words, slot, -1 - place, GIVEN_UP - place);
  }

  /** Takes a task back that nobody has claimed. */
  withdraw(slot: number, ticket: number): boolean {
    return Atomics.compareExchange(this.words, slot, ticket, 0) === ticket;
  }

  free(slot: number): void {
    Atomics.store(this.words, slot, 0);
    this.#free.push(slot);
  }
}
