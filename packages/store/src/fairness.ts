/** How long, in ms, somebody counts as a rival who was seen last. */
const REMEMBERED = 3000;
/** Who leaves a place free waits for so many times what the others' requests take: at first, and at most. */
const LEAST_PATIENCE = 1.5;
const MOST_PATIENCE = 8;
/** What they need beside, in ms: to apply an entry, and to run their statements again. */
const WORK = 10;
/** Of those who want a place, one that was never beaten waits for so long, in ms, and so much less with each time. */
const ORDER = { longest: 3, step: 1 };
/** The share of the newest measurement in an average. */
const NEWEST = 0.2;

/**
 * Who commits sees its own entry first of all, and would be first again: whoever it beat must read that entry before
 * they can try. So it leaves the next place to them; and among them, who was beaten more often goes before the others.
 * By the log alone it would never hear of those who never win: they put up a sign (`Signs`).
 */
export class Fairness {
  /** Until when others count as rivals. */
  #rivalsUntil = Number.NEGATIVE_INFINITY;
  /** Whether the last entry of the log is our own. */
  #won = false;
  #patience = LEAST_PATIENCE;
  /** How long a request of each kind takes here, in ms. */
  readonly #usual = { read: 1, write: 1 };

  took(what: 'read' | 'write', ms: number): void {
    this.#usual[what] += (ms - this.#usual[what]) * NEWEST;
  }

  /** Somebody else was seen: by an entry, or by a sign. */
  saw(now: number): void {
    this.#rivalsUntil = now + REMEMBERED;
  }

  hasRivals(now: number): boolean {
    return now < this.#rivalsUntil;
  }

  won(): void {
    this.#won = true;
  }

  /** Another's entry is the last. */
  lost(now: number): void {
    this.#won = false;
    this.saw(now);
  }

  /**
   * How long the next place is left to others, in ms; 0 where nobody else wants one.
   *
   * @param beaten how often what is to be committed was beaten.
   */
  leaves(now: number, beaten: number): number {
    if (!this.hasRivals(now)) return 0;
    const { read, write } = this.#usual;
    if (this.#won) return this.#patience * (read + write) + WORK;
    return Math.max(0, ORDER.longest - ORDER.step * beaten) + Math.random();
  }

  /** Whether a place is left to others since the last entry is our own. */
  get isLeaving(): boolean {
    return this.#won;
  }

  /** How long to wait between two looks whether somebody took it, in ms. */
  get look(): number {
    return Math.max(2, this.#usual.read / 4);
  }

  /** A place that was left to others was taken, or was not: then they may be slower than was thought. */
  left(taken: boolean): void {
    if (!this.#won) return;
    const next = this.#patience * (taken ? 0.95 : 1.5);
    this.#patience = Math.min(MOST_PATIENCE, Math.max(LEAST_PATIENCE, next));
  }
}
