import { type Classification, classify } from './classify.js';

/** A statement is cheap while its usual run takes less than so many microseconds, … */
const CHEAP_MICROSECONDS = 100;
/** … and so many more for each row, which the calling thread would spend to take them from another … */
const MICROSECONDS_PER_ROW = 0.5;
/** … and gives no more rows than this. */
const CHEAP_ROWS = 256;
/** A run that took so long, in microseconds, takes the proof away, whatever the average says. */
const SLOW_MICROSECONDS = 1000;
/** How many quick runs on a thread prove a statement cheap, at first and at most. */
const FIRST_PROOF = 2;
const LONGEST_PROOF = 256;
/** After so many quick runs in a row the next proof is shorter again: one that was slow may have
 * been interrupted by whatever else the machine does. */
const PARDON = 256;
/** What is assumed of a statement that never ran. */
export const UNKNOWN_MICROSECONDS = 1000;

/**
 * What texts have in common that differ in their numbers alone. Some ORMs write values into their
 * texts, so that hardly one comes twice: what is known of one of them holds for the next.
 */
class Family {
  /** Whether it may run on the calling thread: see `ran`. */
  cheap = false;
  /** A moving average of its time in SQLite, in microseconds. */
  microseconds = UNKNOWN_MICROSECONDS;
  /** Since it was slow, was proved quick, or was pardoned. */
  #quickRuns = 0;
  #proof = FIRST_PROOF;

  /** Learns from a run: its time, and its rows. */
  ran(microseconds: number, rows: number): void {
    const average =
      this.microseconds === UNKNOWN_MICROSECONDS
        ? microseconds
        : this.microseconds + (microseconds - this.microseconds) / 8;
    this.microseconds = average;
    const limit = CHEAP_MICROSECONDS + rows * MICROSECONDS_PER_ROW;
    if (microseconds > SLOW_MICROSECONDS || rows > CHEAP_ROWS || average > limit) {
      // Whoever was taken for cheap and was not must prove itself longer the next time.
      if (this.cheap) this.#proof = Math.min(this.#proof * 4, LONGEST_PROOF);
      this.cheap = false;
      this.#quickRuns = 0;
    } else if (++this.#quickRuns >= (this.cheap ? PARDON : this.#proof)) {
      if (this.cheap) this.#proof = Math.max(this.#proof / 4, FIRST_PROOF);
      this.cheap = true;
      this.#quickRuns = 0;
    }
  }
}

/** What the pool knows about one SQL text. */
export class Statement {
  readonly id: number;
  readonly sql: string;
  readonly classification: Classification;
  readonly isRead: boolean;
  /** Whether it may join a group of writes. */
  readonly isGroupable: boolean;
  /** The threads that know it, a bit for the place of each. */
  known = 0;
  /** Whether the catalogue let go of it: a thread is told of it anew with each use. */
  forgotten = false;
  /** Whether it was used since the catalogue looked last. */
  used = true;
  /** How many transactions in a row ended behind it that began with it, up to what matters: see `Ahead`. */
  endsNext = 0;
  /** What the calling thread's own connection prepared of it. */
  inline: unknown;
  readonly #family: Family;

  constructor(id: number, sql: string, family: Family) {
    this.id = id;
    this.sql = sql;
    this.classification = classify(sql);
    this.isRead = this.classification.kind === 'read';
    this.isGroupable = this.classification.kind === 'write';
    this.#family = family;
  }

  /** Whether it may run on the calling thread. */
  get cheap(): boolean {
    return this.#family.cheap && !this.classification.explains;
  }

  /** What it usually takes in SQLite, in microseconds. */
  get microseconds(): number {
    return this.#family.microseconds;
  }

  /** Learns from a run: its time, and its rows. */
  ran(microseconds: number, rows: number): void {
    this.#family.ran(microseconds, rows);
  }
}

/** A number that is no part of a name; digits in quotes may be taken for one, which does no harm. */
const NUMBER = /(?<![\p{L}\p{N}_$"'`[?@:.])\d+(?:\.\d+)?/gu;

/** How many texts are remembered: an application has dozens, an ORM's IN lists make thousands. */
const MOST_STATEMENTS = 1000;

/**
 * The statements of one pool by their texts. Each is classified once; those unused the longest
 * are forgotten, by the second-chance rule, which costs a hit nothing but a flag.
 */
export class Catalogue {
  readonly #byText = new Map<string, Statement>();
  readonly #families = new Map<string, Family>();
  #nextId = 0;
  readonly #onForget: (statement: Statement) => void;

  constructor(onForget: (statement: Statement) => void) {
    this.#onForget = onForget;
  }

  get(sql: string): Statement {
    const statement = this.#byText.get(sql);
    if (statement === undefined) return this.#add(sql);
    statement.used = true;
    return statement;
  }

  get size(): number {
    return this.#byText.size;
  }

  #add(sql: string): Statement {
    if (this.#byText.size >= MOST_STATEMENTS) this.#makeRoom();
    const statement = new Statement(this.#nextId++, sql, this.#familyOf(sql));
    this.#byText.set(sql, statement);
    return statement;
  }

  #familyOf(sql: string): Family {
    const shape = sql.replace(NUMBER, '0');
    let family = this.#families.get(shape);
    if (family === undefined) {
      family = new Family();
      // The oldest goes: where it comes again, it proves itself again.
      const [oldest] = this.#families.size >= MOST_STATEMENTS ? this.#families.keys() : [];
      if (oldest !== undefined) this.#families.delete(oldest);
      this.#families.set(shape, family);
    }
    return family;
  }

  /** A new thread took a place: it knows nothing. */
  unknownTo(place: number): void {
    for (const statement of this.#byText.values()) statement.known &= ~(1 << place);
  }

  #makeRoom(): void {
    // A tenth at a time, so that an eviction is not paid with every new text.
    let room = MOST_STATEMENTS / 10;
    for (const [sql, statement] of this.#byText) {
      this.#byText.delete(sql);
      if (statement.used) {
        statement.used = false;
        this.#byText.set(sql, statement);
      } else {
        this.#onForget(statement);
        statement.forgotten = true;
        room--;
      }
      if (room <= 0) return;
    }
  }
}
