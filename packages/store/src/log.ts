import { promisify } from 'node:util';
import { type Bucket, BucketError, MOST_KEYS } from './bucket.js';
import {
  type Entry,
  encodeEntry,
  encodeTombstone,
  fillEntry,
  type LogObject,
  openEntry,
} from './entry.js';
import { DamagedError, FormatError } from './envelope.js';
import { entryKey, LOG, numberOf, SNAPSHOTS } from './keys.js';

const nextTurn = promisify(setImmediate);

/** Requests for entries under way at once. */
const AT_ONCE = 32;
/** How often a segment is sent where it is not known whether it arrived. */
const SEGMENT_TRIES = 3;
/** Bytes of entries that are in memory at once, but for the last. */
const MOST_GATHERED = 64 * 1024 * 1024;

/** Entries in a row. */
export interface Entries {
  readonly entries: Entry[];
  /**
   * What comes behind them: nothing yet, a tombstone (what is there is found in a snapshot alone),
   * or more entries.
   */
  readonly end: 'gap' | 'tombstone' | 'more';
}

/** How entries are read. */
export interface ReadOptions {
  /** None is read behind the one with which their parts have more bytes than that. */
  mostBytes?: number;
  /** For how many it asks at first: more than one where it is known that there is one. */
  atFirst?: number;
}

/**
 * The log in a bucket. Entries are created, each once, and read; their numbers have no gaps. It
 * keeps nothing in memory, and repeats no request but that for a segment. Errors are the bucket's, and DamagedError where
 * what is there is no entry.
 */
export class Log {
  readonly bucket: Bucket;
  /** What was made of entries that are to be created: a second try sends the same bytes. */
  readonly #made = new WeakMap<Entry, Promise<Uint8Array>>();
  /** Entries that a request may have stored, or may store yet. */
  readonly #inDoubt = new WeakSet<Entry>();

  constructor(bucket: Bucket) {
    this.bucket = bucket;
  }

  /** An entry with all its parts; `'tombstone'` where it was collected, undefined where none is. */
  async read(number: number): Promise<Entry | 'tombstone' | undefined> {
    const found = await this.#open(number);
    return found === undefined ? undefined : this.#fill(found);
  }

  /**
   * The token of an entry, also of one that was collected; undefined where none is. It tells
   * whether a proposal was stored, whatever became of the requests that proposed it.
   */
  async tokenAt(number: number): Promise<string | undefined> {
    const found = await this.#open(number);
    if (found?.type === 'entry') return found.head.token;
    if (found?.token !== '') return found?.token;
    throw new DamagedError(
      `the log entry ${number} is damaged: it was missing when it was collected, and nobody knows whose it was`,
    );
  }

  /**
   * The entries from a number on, up to where none is, at most so many. It asks for one, and for more at
   * once the more there are: at the end of the log it costs one request.
   */
  async readMany(
    from: number,
    most: number,
    { mostBytes = MOST_GATHERED, atFirst = 1 }: ReadOptions = {},
  ): Promise<Entries> {
    const entries: Entry[] = [];
    const underWay: Promise<LogObject | undefined>[] = [];
    let next = from;
    let gathered = 0;
    const begin = (count: number) => {
      for (; count > 0 && underWay.length < AT_ONCE && next < from + most; count--) {
        const object = this.#open(next++);
        // It is heard when its turn comes; until then nobody listens.
        object.catch(() => {});
        underWay.push(object);
      }
    };
    try {
      begin(atFirst);
      let known = atFirst - 1;
      for (let first = underWay.shift(); first !== undefined; first = underWay.shift()) {
        const object = await first;
        if (object === undefined) return { entries, end: 'gap' };
        const entry = await this.#fill(object);
        if (entry === 'tombstone') return { entries, end: 'tombstone' };
        entries.push(entry);
        gathered += entry.parts.reduce((sum, part) => sum + sizeOf(part), 0);
        if (gathered > mostBytes) return { entries, end: 'more' };
        // What a client does for a request is a millisecond's work: timers and sockets have theirs between.
        await nextTurn();
        // The more there are, the more there may be; at the end none is waited for in vain.
        if (known > 0) known--;
        else begin(2);
      }
      return { entries, end: 'more' };
    } finally {
      await Promise.allSettled(underWay);
    }
  }

  /**
   * Stores an entry where there is none yet, and before it what is too large for it. The same
   * object may be created again where it is not known what became of it: the bytes are the same.
   * `'exists'` does not say whose it is: `tokenAt` does. A BucketError is definite where no request
   * for this entry, of this call or of one before, can have stored it or still do so.
   */
  async create(entry: Entry): Promise<'created' | 'exists'> {
    let made = this.#made.get(entry);
    if (made === undefined) {
      made = encodeEntry(entry, (key, body) => this.#putSegment(key, body));
      this.#made.set(entry, made);
      // Segments that could not be stored are made anew.
      made.catch(() => this.#made.delete(entry));
    }
    const body = await made;
    try {
      return await this.bucket.create(entryKey(entry.number), body);
    } catch (error) {
      if (!BucketError.is(error)) throw error;
      if (!error.definite) this.#inDoubt.add(entry);
      if (!this.#inDoubt.has(entry)) throw error;
      throw new BucketError(error.message, { definite: false, cause: error.cause });
    }
  }

  /** Whatever becomes of a segment: without its entry, which is sent after it, it is nothing. */
  async #putSegment(key: string, body: Uint8Array): Promise<void> {
    for (let attempt = 1; ; attempt++) {
      try {
        return await this.bucket.put(key, body);
      } catch (error) {
        if (!BucketError.is(error)) throw error;
        if (!error.definite && attempt < SEGMENT_TRIES) continue;
        throw new BucketError(error.message, { definite: true, cause: error.cause });
      }
    }
  }

  /** The number of the last entry, 0 where there is none; `from` is one that there is, or 0. */
  async head(from = 0): Promise<number> {
    let known = from;
    // Numbers have no gaps, so that the last of a page that is not full is the last of all. Behind
    // full ones it looks twice as far each time, and half as far where nothing is there.
    let beyond = false;
    for (let step = 0; ; ) {
      const keys = await this.bucket.list(LOG, entryKey(known + step));
      const numbers = keys.map(numberOf).filter((number) => number !== undefined);
      const last = numbers.at(-1);
      if (last === undefined && step === 0) return known;
      if (last === undefined) beyond = true;
      else if (keys.length < MOST_KEYS) return last;
      else known = last;
      // A step within one page saves nothing.
      if (!beyond) step = Math.max(MOST_KEYS, step * 2);
      else step = step < 2 * MOST_KEYS ? 0 : Math.floor(step / 2);
    }
  }

  /** The numbers of all snapshots, in order: what is in them is the state after that entry. */
  async snapshots(): Promise<number[]> {
    const found: number[] = [];
    for (let after = ''; ; ) {
      const keys = await this.bucket.list(SNAPSHOTS, after);
      for (const key of keys) {
        const number = numberOf(key);
        if (number !== undefined) found.push(number);
      }
      if (keys.length < MOST_KEYS) return found;
      after = keys.at(-1) as string;
    }
  }

  /** The number of the newest snapshot; undefined where there is none. */
  async newestSnapshot(): Promise<number | undefined> {
    return (await this.snapshots()).at(-1);
  }

  /**
   * Puts a tombstone in the place of an entry. One that is damaged stays: nobody could tell any more
   * whose it was. One that is missing gets a tombstone too: in a free slot the log would fork.
   */
  async bury(number: number): Promise<'buried' | 'was buried'> {
    const key = entryKey(number);
    const found = await this.#open(number).catch(damaged);
    if (found === 'damaged' || found?.type === 'tombstone') return 'was buried';
    if (found === undefined) {
      const body = await encodeTombstone({ number, token: '' });
      if ((await this.bucket.create(key, body)) === 'created') return 'buried';
      return this.bury(number);
    }
    await this.bucket.put(key, await encodeTombstone({ number, token: found.head.token }));
    return 'buried';
  }

  /** Whether there is nothing to be read any more in an entry's place. */
  async isBuried(number: number): Promise<boolean> {
    const found = await this.#open(number).catch(damaged);
    return found === 'damaged' || found?.type === 'tombstone';
  }

  async #open(number: number): Promise<LogObject | undefined> {
    const body = await this.bucket.get(entryKey(number));
    return body === undefined ? undefined : openEntry(number, body);
  }

  async #fill(object: LogObject): Promise<Entry | 'tombstone'> {
    if (object.type === 'tombstone') return 'tombstone';
    const entry = await fillEntry(object, (key) => this.bucket.get(key));
    if (entry !== undefined) return entry;
    // It was collected between the two requests, and its segments after it.
    const { number } = object.head;
    if ((await this.#open(number))?.type === 'tombstone') return 'tombstone';
    throw new DamagedError(
      `the log entry ${number} is damaged: a segment of it is missing in ${this.bucket.where}; does a lifecycle rule delete objects there?`,
    );
  }
}

function sizeOf(part: Entry['parts'][number]): number {
  return part.type === 'ddl' ? part.sql.length : part.bytes.length;
}

function damaged(error: unknown): 'damaged' {
  // Of a newer format: it is well, and whoever knows it may bury it.
  if (error instanceof DamagedError && !(error instanceof FormatError)) return 'damaged';
  throw error;
}
