import { existsSync } from 'node:fs';
import { rename, rm, writeFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { PoolError, type Replica, type ReplicaHost, type ReplicaStats } from '@poolite/core';
import { BucketError } from './bucket.js';
import type { Committer } from './committer.js';
import type { Entry } from './entry.js';
import { DamagedError } from './envelope.js';
import { newerThan } from './gate/sqlite-version.js';
import type { Entries, Log } from './log.js';
import { makeEmpty, placeOver } from './place.js';
import type { Answer, Position, Question, TurnMessage } from './questions.js';
import { ReplicaLock } from './replica-lock.js';
import type { SnapshotKeeper } from './snapshot-keeper.js';

/** Entries that the gate is given at a time. */
const MOST_ENTRIES = 256;
/** Pauses before the log is read again that could not be read, in ms. */
const FIRST_PAUSE = 2;
const LONGEST_PAUSE = 1000;

/** What a replica is made of. */
export interface ReplicaParts {
  readonly log: Log;
  readonly committer: Committer;
  readonly snapshots: SnapshotKeeper;
  readonly gate: Replica['gate'];
  /** Makes sure that the bucket keeps its word. */
  probe(): Promise<void>;
  /** Whether entries that an older SQLite made are taken. */
  readonly upgrade: boolean;
  /** Ends what waits for the bucket. */
  readonly hurry: AbortController;
}

/** One file that follows the log and commits to it: the part of it on the calling thread. */
export class FileReplica implements Replica {
  readonly gate: Replica['gate'];
  readonly #host: ReplicaHost;
  readonly #parts: ReplicaParts;
  readonly #stats: ReplicaStats = {
    ...{ position: 0, committed: 0, applied: 0, conflicts: 0, seenAt: 0, error: undefined },
  };
  #lock: ReplicaLock | undefined;
  #timer: NodeJS.Timeout | undefined;
  #stopped = false;
  /** What was asked last: the gate of a new thread waits for what the one before it had asked. */
  #asked: Promise<unknown> = Promise.resolve();
  /** The gate's version of SQLite. */
  #sqlite = '';
  /** The last entry that is certainly in the file: the gate has said so since, or kept silent where it would not. */
  #position = 0;
  /** What was read of the log and has not been asked for. */
  #ahead: { from: number; read: Entries } | undefined;
  /** Where the file was, and what was put in its place, when it was quarantined last. */
  #quarantine: { at: number; with: number } | undefined;
  /** The look at the log that runs, and the one that begins behind it: see `refresh`. */
  #looking: Promise<void> | undefined;
  #nextLook: Promise<void> | undefined;

  /** Resolves when nobody waits for the bucket any more. */
  readonly #hurried: Promise<void>;

  constructor(host: ReplicaHost, parts: ReplicaParts) {
    this.#host = host;
    this.#parts = parts;
    const { signal } = parts.hurry;
    this.#hurried = new Promise((resolve) => {
      signal.addEventListener('abort', () => resolve(), { once: true });
    });
    this.gate = parts.gate;
  }

  async prepare(): Promise<void> {
    const { file } = this.#host;
    const { probe, snapshots } = this.#parts;
    try {
      await probe();
      this.#lock = new ReplicaLock(file);
      if (existsSync(file)) return;
      const made = `${file}.new`;
      if ((await snapshots.fetchNewest(made)) === 0) return;
      // What a file that was removed has left behind would be taken for the new one's.
      for (const beside of [`${file}-wal`, `${file}-shm`]) await rm(beside, { force: true });
      await rename(made, file);
    } catch (error) {
      throw asPoolError(error);
    }
  }

  answer(question: unknown): Promise<Answer> {
    const { type } = question as Question;
    const answered = this.#asked.then(() => this.#answer(question as Question));
    this.#asked = answered;
    const code = type === 'propose' ? 'POOL_OUTCOME_UNKNOWN' : 'POOL_CLOSED';
    const message = `the pool was closed before ${this.#parts.log.bucket.where} had answered`;
    return Promise.race([
      answered,
      this.#hurried.then(() => ({ type: 'failed', code, message }) as const),
    ]);
  }

  start(): void {
    // A sign that is there already is nobody's who waits now.
    this.#parts.committer.look();
    this.#lookLater();
  }

  refresh(): Promise<void> {
    // The look that runs may have looked before this call.
    if (this.#looking === undefined) return this.#look();
    this.#nextLook ??= this.#looking
      .catch(() => {}) // Its callers hear of it.
      .then(() => this.#look());
    return this.#nextLook;
  }

  stats(): ReplicaStats {
    const error = this.#stats.error ?? this.#parts.snapshots.error?.message;
    return { ...this.#stats, error };
  }

  stop(hurry: boolean): void {
    this.#stopped = true;
    clearTimeout(this.#timer);
    if (hurry) this.#parts.hurry.abort();
  }

  async close(): Promise<void> {
    this.stop(false);
    await this.#parts.snapshots.end();
    this.#lock?.close();
  }

  async #answer(question: Question): Promise<Answer> {
    try {
      this.#isAt(question.position.number);
      switch (question.type) {
        case 'opened':
          this.#sqlite = question.sqlite;
          return await this.#opened(question.position);
        case 'propose':
          return await this.#propose(question);
        case 'catchUp':
          return await this.#catchUp(question.position, question.attempt);
        case 'quarantine':
          return await this.#quarantined(question.position, question.reason);
        case 'restore':
          return await this.#restore(question);
        default:
          return question satisfies never;
      }
    } catch (error) {
      const { code, message } = asPoolError(error);
      return { type: 'failed', code, message };
    }
  }

  async #opened(position: Position): Promise<Answer> {
    const { log } = this.#parts;
    const { number, token } = position;
    if (number === 0) return this.#catchUp(position, 0);
    const last = await log.read(number);
    if (last === undefined) {
      throw new PoolError(
        'POOL_STORE',
        `${this.#host.file} is at entry ${number}, and ${log.bucket.where} has no such entry: it is the replica of ` +
          'another log, or entries were removed. Use the right bucket and prefix, or move the file away',
      );
    }
    const there = last === 'tombstone' ? await log.tokenAt(number) : last.token;
    if (there !== token) return this.#quarantined(position, 'its entry is not that of the log');
    if (last !== 'tombstone') this.#checkVersion(last);
    return this.#catchUp(position, 0);
  }

  async #propose(question: Question & { type: 'propose' }): Promise<Answer> {
    const answer = await this.#parts.committer.commit(question);
    const stats = this.#stats;
    if (answer.type === 'stored') {
      this.#isAt(question.position.number + 1);
      stats.committed++;
      stats.seenAt = Date.now();
      this.#parts.snapshots.committed(stats.position);
    } else if (answer.type === 'conflict') {
      stats.conflicts++;
    }
    return answer;
  }

  /** Entries behind a position. */
  async #catchUp(position: Position, attempt: number): Promise<Answer> {
    const from = position.number + 1;
    const ahead = this.#ahead?.from === from ? this.#ahead.read : undefined;
    this.#ahead = undefined;
    const read = this.#parts.committer.handOver(from) ?? ahead ?? (await this.#read(from));
    const { entries, end } = read;
    if (entries.length === 0 && end === 'tombstone') {
      return this.#quarantined(position, 'what comes next was collected');
    }
    for (const entry of entries) this.#checkVersion(entry);
    this.#stats.applied += entries.length;
    this.#stats.position = position.number + entries.length;
    if (end === 'gap') this.#stats.seenAt = Date.now();
    const again = attempt <= this.#host.retries && !this.#parts.hurry.signal.aborted;
    return { type: 'entries', entries, more: end !== 'gap', again };
  }

  async #read(from: number): Promise<Entries> {
    const { log, hurry } = this.#parts;
    for (let pause = FIRST_PAUSE; ; pause *= 4) {
      try {
        return await log.readMany(from, MOST_ENTRIES);
      } catch (error) {
        const isFinal = BucketError.is(error) ? error.definite : error instanceof DamagedError;
        if (isFinal || pause > LONGEST_PAUSE || hurry.signal.aborted) throw error;
        await sleep(pause);
      }
    }
  }

  /** Puts the newest snapshot in the place of the file's state, which is kept beside it. */
  async #quarantined({ number }: Position, reason: string): Promise<Answer> {
    const { file } = this.#host;
    return this.#replaced(async (made) => {
      const found = await this.#parts.snapshots.fetchNewest(made);
      const before = this.#quarantine;
      if (before?.at === number && before.with === found) {
        throw new PoolError(
          'POOL_STORE',
          `${file} cannot follow the log beyond entry ${number}, and a sound state was put in its place in vain: ${reason}`,
        );
      }
      this.#quarantine = { at: number, with: found };
      if (found === 0) makeEmpty(made);
      await placeOver(file, `${file}.quarantined`);
      this.#stats.position = found;
      this.#stats.error = `the file was made anew from entry ${found} on: ${reason}`;
    });
  }

  /** An entry is a whole database. */
  #restore({ snapshot, position }: Question & { type: 'restore' }): Promise<Answer> {
    return this.#replaced(async (made) => {
      await writeFile(made, snapshot, { mode: 0o600 });
      this.#stats.position = position.number;
    });
  }

  /** Puts what `make` puts into a file in the place of the replica's. */
  async #replaced(make: (made: string) => Promise<void>): Promise<Answer> {
    const { file } = this.#host;
    const made = `${file}.new`;
    try {
      await make(made);
      await placeOver(made, file);
      return { type: 'restored' };
    } finally {
      for (const each of [made, `${made}-wal`, `${made}-shm`]) await rm(each, { force: true });
    }
  }

  /** Two versions may do different things with one statement. The gate refuses what is newer than itself. */
  #checkVersion({ number, sqlite }: Entry): void {
    if (this.#parts.upgrade || !newerThan(this.#sqlite, sqlite)) return;
    throw new PoolError(
      'POOL_STORE',
      `the log entry ${number} was made by SQLite ${sqlite}, and this machine has ${this.#sqlite}: give all machines ` +
        'the same Node.js; where all of them have the newer one now, open the store with `upgrade: true`',
    );
  }

  #isAt(number: number): void {
    this.#position = number;
    this.#stats.position = number;
  }

  #look(): Promise<void> {
    const look = this.#followLog();
    this.#looking = look;
    this.#nextLook = undefined;
    const over = () => {
      if (this.#looking === look) this.#looking = undefined;
    };
    look.then(over, over);
    return look;
  }

  async #followLog(): Promise<void> {
    try {
      for (;;) {
        const from = this.#position + 1;
        const read = await this.#read(from);
        if (read.entries.length === 0 && read.end === 'gap') break;
        this.#ahead = { from, read };
        await this.#host.turn({ type: 'pull' } satisfies TurnMessage);
        // It has applied all that it was handed, or it would have said so.
        this.#position = this.#stats.position;
        if (read.end === 'gap') break;
      }
      this.#stats.seenAt = Date.now();
    } catch (error) {
      throw asPoolError(error);
    }
  }

  #lookLater(): void {
    const { interval } = this.#host;
    if (interval === 0) return;
    const rest = this.#stats.seenAt + interval - Date.now();
    this.#lookIn(Math.max(1, Math.min(interval, rest)));
  }

  #lookIn(ms: number): void {
    if (this.#stopped) return;
    this.#timer = setTimeout(() => this.#lookNow(), ms);
    this.#timer.unref();
  }

  #lookNow(): void {
    // Who commits all the time sees the log's end with each commit.
    if (Date.now() - this.#stats.seenAt < this.#host.interval) return this.#lookLater();
    this.refresh().then(
      () => {
        this.#stats.error = undefined;
        this.#lookLater();
      },
      (error) => {
        this.#stats.error = String((error as Error).message);
        this.#lookIn(this.#host.interval);
      },
    );
  }
}

/** What a caller hears of a bucket that fails, or of what is in it. */
function asPoolError(error: unknown): PoolError {
  if (PoolError.is(error)) return error;
  const message = error instanceof Error ? error.message : String(error);
  return new PoolError('POOL_STORE', message, { cause: error });
}
