/** How many transactions may end before the commit that answers them, and for how long in ms. */
const MOST_SHARING = 64;
const LONGEST_SHARING = 5;
/** Commits are shared only while transactions last no longer than this, in ms: whoever has ended
 * waits for the one that follows. */
const SHORT_TRANSACTION = 10;
/** How fast a long transaction is forgotten, per transaction. */
const FORGETTING = 0.9;

/** The commit that several transactions may share: who waits for it, and whether another may. */
export class SharedCommit {
  readonly #enabled: boolean;
  #waiting = 0;
  #since = 0;
  /** How long transactions last, the longer ones remembered longer, in ms. */
  #longest = 0;

  constructor(enabled: boolean) {
    this.#enabled = enabled;
  }

  /** Whether transactions have ended that are not committed. */
  get isOpen(): boolean {
    return this.#waiting > 0;
  }

  /** Learns how long a transaction lasted, in ms. */
  lasted(ms: number): void {
    this.#longest = Math.max(ms, this.#longest * FORGETTING);
  }

  /** Whether a transaction that ends now may leave its commit to the one that follows. */
  mayJoin(now: number): boolean {
    if (!this.#enabled || this.#longest > SHORT_TRANSACTION) return false;
    if (this.#waiting + 1 >= MOST_SHARING) return false;
    return this.#waiting === 0 || now - this.#since <= LONGEST_SHARING;
  }

  join(now: number): void {
    if (this.#waiting++ === 0) this.#since = now;
  }

  /** It is being committed, or was undone. */
  close(): void {
    this.#waiting = 0;
  }
}
