import { setTimeout as sleep } from 'node:timers/promises';
import { BucketError } from './bucket.js';
import type { Entry } from './entry.js';
import { Fairness } from './fairness.js';
import type { Entries, Log } from './log.js';
import type { Answer, Question } from './questions.js';
import type { Signs } from './signs.js';

type Proposal = Question & { type: 'propose' };

/** Between two tries of a request that failed, in ms: it doubles up to the longer. */
const FIRST_PAUSE = 20;
const LONGEST_PAUSE = 1000;

/** So many entries are read at once to learn whose a place is: who was beaten needs them next. */
const AHEAD = 64;
/** Where there are rivals, that is asked so long after the entry was sent, in ms, without waiting for the answer. */
const HEAD_START = 2;

/**
 * Commits entries. One is committed once it stands in the log in its place, and of all who want a place one gets it.
 * Nothing else counts: what is not known of a request is asked of the log.
 */
export class Committer {
  readonly fairness = new Fairness();
  protected readonly log: Log;
  readonly #signs: Signs;
  readonly #patience: number;
  readonly #hurry: AbortSignal;
  /** Why the last entry could not be placed. */
  #error: unknown;
  /** What stands in the log from the place on where an entry was beaten. */
  #ahead: { from: number; read: Entries } | undefined;
  /** The same, asked for before it is known whether it is needed. */
  #peeked: Promise<Entries | undefined> | undefined;

  /**
   * @param patience how long, in ms, it is tried to learn what became of an entry.
   * @param hurry ends that.
   */
  constructor(log: Log, signs: Signs, patience: number, hurry: AbortSignal) {
    this.log = log;
    this.#signs = signs;
    this.#patience = patience;
    this.#hurry = hurry;
  }

  async commit({ entry: content, position, token, attempt }: Proposal): Promise<Answer> {
    const number = position.number + 1;
    const entry: Entry = { ...content, number, token, previous: position.token };
    if (await this.#leave(number, attempt - 1)) return this.#lost();
    // Beside the entry on its way: what it says counts for the next.
    this.look();
    switch (await this.#place(entry)) {
      case 'ours':
        this.fairness.won();
        return { type: 'stored' };
      case "another's":
        return this.#lost();
      case 'refused':
        return this.#failed('POOL_STORE', 'nothing was stored');
      case 'unknown':
        return this.#failed('POOL_OUTCOME_UNKNOWN', 'the write may or may not be stored');
    }
  }

  /** Puts an entry into its place, and makes sure whose that is then. */
  async #place(entry: Entry): Promise<'ours' | "another's" | 'refused' | 'unknown'> {
    const until = performance.now() + this.#patience;
    /** Whether a request is, or may be, on its way that puts it there. */
    let underWay = false;
    for (let pause = FIRST_PAUSE; ; pause = Math.min(LONGEST_PAUSE, pause * 2)) {
      try {
        const created = this.create(entry);
        this.#peek(entry.number);
        if ((await created) === 'created') return 'ours';
        // It may be our own all the same: an SDK sends a request again by itself.
        underWay = true;
        if ((await this.isOurs(entry)) === true) return 'ours';
        return "another's";
      } catch (error) {
        this.#error = error;
        if (BucketError.is(error) && error.definite && !underWay) return 'refused';
        underWay = true;
      }
      // That it is not there does not say that it will not be: then the same entry is sent again.
      const isOurs = await this.isOurs(entry).catch((error) => {
        this.#error = error;
      });
      if (isOurs !== undefined) return isOurs ? 'ours' : "another's";
      if (this.#hurry.aborted || performance.now() > until) return 'unknown';
      await this.#sleep(pause * (0.5 + Math.random() / 2));
    }
  }

  protected async create(entry: Entry): Promise<'created' | 'exists'> {
    const started = performance.now();
    const outcome = await this.log.create(entry);
    this.fairness.took('write', performance.now() - started);
    return outcome;
  }

  /** Whether it is this entry that stands in its place; undefined where none does. */
  protected async isOurs({ number, token }: Entry): Promise<boolean | undefined> {
    const peeked = await this.#peeked;
    this.#peeked = undefined;
    const read = peeked ?? (await this.#read(number));
    const [there] = read.entries;
    // A tombstone has the token of its entry.
    const its = there === undefined ? await this.#buried(number, read) : there.token;
    if (there !== undefined) this.#ahead = { from: number, read };
    return its === undefined ? undefined : its === token;
  }

  /** What was read of the log from a place on, by the way; once. */
  handOver(from: number): Entries | undefined {
    const ahead = this.#ahead;
    this.#ahead = undefined;
    return ahead?.from === from ? ahead.read : undefined;
  }

  async #buried(number: number, { end }: Entries): Promise<string | undefined> {
    return end === 'tombstone' ? this.log.tokenAt(number) : undefined;
  }

  async #read(number: number): Promise<Entries> {
    const started = performance.now();
    // There is one, and whoever comes to read it must know whether there are more.
    const read = await this.log.readMany(number, AHEAD, { atFirst: 2 });
    this.fairness.took('read', performance.now() - started);
    return read;
  }

  /** Asks what stands in a place while an entry is on its way there: who is beaten saves a trip. */
  #peek(number: number): void {
    this.#peeked = undefined;
    if (!this.fairness.hasRivals(performance.now())) return;
    this.#peeked = sleep(HEAD_START)
      .then(() => this.#read(number))
      .then(
        (read) => (read.entries.length > 0 ? read : undefined),
        () => undefined, // It is asked for again where it is needed.
      );
  }

  /** Looks whether others want to commit. */
  look(): void {
    this.#signs.look(() => this.fairness.saw(performance.now()));
  }

  /** Leaves a place to others for a moment; true where one of them took it. */
  async #leave(number: number, beaten: number): Promise<boolean> {
    const { fairness } = this;
    const started = performance.now();
    const ms = fairness.leaves(started, beaten);
    if (ms === 0) return false;
    let taken = false;
    while (!taken && !this.#hurry.aborted) {
      const left = started + ms - performance.now();
      if (left <= 0) break;
      await this.#sleep(fairness.isLeaving ? Math.min(left, fairness.look) : left);
      // To look takes as long as to hear that the place was taken.
      if (!fairness.isLeaving) continue;
      try {
        const read = await this.#read(number);
        taken = read.end === 'tombstone' || read.entries.length > 0;
        if (read.entries.length > 0) this.#ahead = { from: number, read };
      } catch {
        // Whether the place is free shows when it is wanted.
        return false;
      }
    }
    fairness.left(taken);
    return taken;
  }

  #lost(): Answer {
    const now = performance.now();
    this.fairness.lost(now);
    this.#signs.put(now);
    return { type: 'conflict' };
  }

  #failed(code: string, what: string): Answer {
    const why = this.#error instanceof Error ? this.#error.message : String(this.#error);
    return { type: 'failed', code, message: `${why}: ${what}` };
  }

  async #sleep(ms: number): Promise<void> {
    try {
      await sleep(ms, undefined, { signal: this.#hurry });
    } catch {
      // In haste: whoever sleeps looks at the signal.
    }
  }
}
