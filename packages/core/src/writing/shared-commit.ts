/** How many transactions may end before the commit that answers them, and for how long in ms, … */
const MOST_SHARING = 64;
const LONGEST_SHARING = 5;
/** … or for so many times what a commit usually takes: on a slow disk sharing gains the most. */
const COMMITS_SHARING = 2;
/** Commits are shared only while transactions last no longer than this, in ms, or than such a
 * commit takes: whoever has ended waits for the one that follows. */
const SHORT_TRANSACTION = 10;
/** How fast a long transaction is forgotten, per transaction. */
const FORGETTING = 0.9;
/** What is believed of a commit's time, in ms: one that met a lock says nothing about the disk. */
const LONGEST_COMMIT = 25;
/** How much the last commit counts in what is usual. */
const NEWEST = 1 / 8;

/** The commit that several transactions may share: who waits for it, and whether another may. */
export class SharedCommit {
  readonly #enabled: boolean;
  #waiting = 0;
  #since = 0;
  /** How long transactions last, the longer ones remembered longer, in ms. */
  #longest = 0;
  /** How long a commit takes, in ms. */
  #usual = 0;
  /** When a commit was sent that is not answered; 0 where there is none. */
  #sentAt = 0;
  /** When the thread answered the last end of a transaction. */
  #answeredAt = 0;

  constructor(enabled: boolean) {
    this.#enabled = enabled;
  }

  /** Whether transactions have ended that are not committed. */
  get isOpen(): boolean {
    return this.#waiting > 0;
  }

  /**
   * Learns how long a transaction lasted. What it waited for before does not count: the thread may
   * have been busy with the commit of another.
   */
  lasted(begunAt: number, now: number): void {
    const ms = now - Math.max(begunAt, this.#answeredAt);
    this.#longest = Math.max(ms, this.#longest * FORGETTING);
  }

  /** Whether a transaction that ends now may leave its commit to the one that follows. */
  mayJoin(now: number): boolean {
    const worthwhile = COMMITS_SHARING * this.#usual;
    if (!this.#enabled || this.#longest > Math.max(SHORT_TRANSACTION, worthwhile)) return false;
    if (this.#waiting + 1 >= MOST_SHARING) return false;
    return this.#waiting === 0 || now - this.#since <= Math.max(LONGEST_SHARING, worthwhile);
  }

  /** How many more may join behind the one that runs. */
  room(now: number): number {
    return this.mayJoin(now) ? MOST_SHARING - 2 - this.#waiting : 0;
  }

  join(now: number): void {
    if (this.#waiting++ === 0) this.#since = now;
  }

  /** It is being committed, or was undone. */
  close(): void {
    this.#waiting = 0;
  }

  /** A transaction sends the commit, which is that of all who wait. */
  sent(now: number): void {
    this.close();
    this.#sentAt = now;
  }

  /** The thread has answered the end of a transaction, and of all who waited for it. */
  answered(now: number): void {
    this.#answeredAt = now;
    if (this.#sentAt === 0) return;
    this.#usual += (Math.min(now - this.#sentAt, LONGEST_COMMIT) - this.#usual) * NEWEST;
    this.#sentAt = 0;
  }
}
