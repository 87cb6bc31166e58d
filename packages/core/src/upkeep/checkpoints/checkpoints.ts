import type { CheckpointMessage, Pin, WalPinnedMessage } from '../../observing/events.js';
import { type CheckpointStats, Latency } from '../../observing/stats.js';
import type { ConnectionOptions } from '../../threads/connection.js';
import type { CheckpointOutcome } from '../../threads/protocol.js';
import { OtherReaders } from '../system/other-processes.js';
import { Growth, worthEmptying } from './growth.js';
import { Keeper, type KeeperOwner } from './keeper.js';
import { Reset, type ResetOwner, type ResetReport, type ResetRequest } from './reset.js';

/** The option `checkpoint`, each field with its value. */
export interface CheckpointSettings {
  readonly walPages: number;
  readonly walLimit: number;
  readonly interval: number;
  readonly holdLimit: number;
  readonly backpressure: boolean;
}

export interface CheckpointsOwner extends Omit<ResetOwner, 'waiting' | 'moved'>, KeeperOwner {
  /** The size of the WAL file; where databases are attached, of the largest. */
  walBytes(): number;
  /** So many ms shall pass between two groups of writes. */
  brake(ms: number): void;
  checkpointed(message: Omit<CheckpointMessage, 'file'>): void;
  pinned(message: Omit<WalPinnedMessage, 'file'>): void;
  failed(error: unknown): void;
}

/** What a page is taken for, in bytes, until a checkpoint has told. */
const USUAL_PAGE = 4096;
/** What the WAL adds to each page. https://sqlite.org/walformat.html#wal_file_format */
const FRAME_HEADER = 24;
/** The size of the WAL is looked at again after so many ms at least, and at most. */
const SOONEST = 10;
const LATEST = 100;
/** The same while no upkeep thread is needed. */
const SMALL = 25;
/** From this part of its limit on the WAL is emptied whenever nobody is in the way … */
const LUCKY = 0.25;
/** … and from this part on reads are held for it, early enough for the limit. */
const DUE = 0.5;
/** The same trouble is reported, and tried again, no sooner than after so many ms. */
const REPORT = 10_000;
const FIRST_BACKOFF = 1000;
const LONGEST_BACKOFF = 60_000;
/** How long those who are in the way are thought to take, in ms, before any have been seen. */
const USUAL_DRAIN = 1000;
/** Backpressure: so many ms between groups for a WAL of twice its limit, and at most. */
const BRAKE = 100;
const MOST_BRAKE = 1000;

/**
 * Keeps the WAL small. PASSIVE checkpoints run beside the writer as it grows. They cannot empty it
 * while readers overlap, or while the writer never rests: then it is emptied in a turn of the
 * writer, with reads held for that moment. https://sqlite.org/wal.html#ckpt
 */
export class Checkpoints {
  readonly #settings: CheckpointSettings;
  readonly #owner: CheckpointsOwner;
  readonly #others: OtherReaders;
  readonly #keeper: Keeper;
  readonly #growth = new Growth();
  readonly #counts = { count: 0, pages: 0, resets: 0, pinned: 0, failed: 0 };
  readonly #latency = new Latency();
  readonly #holds = { slowReads: new Latency(), reads: new Latency(), writes: new Latency() };
  readonly #reset: Reset;
  /** What runs now, or last: one at a time. */
  #last: Promise<unknown> = Promise.resolve();
  #working = false;
  #stopped = false;
  #nextLook = 0;
  #timer: NodeJS.Timeout | undefined;
  #later: NodeJS.Timeout | undefined;
  /** Whether something was written since the last checkpoint that moved everything. */
  #dirty = false;
  /** Whether something was written since the last look. */
  #written = false;
  #pageSize = USUAL_PAGE;
  /** Pages that must be in the WAL alone for the next checkpoint. */
  #least: number;
  /** What the last checkpoint found in use, and the file's size then. */
  #known = { bytes: 0, size: 0 };
  /** How many pages there were in the WAL when it was emptied last; -1 once that is long ago. */
  #emptyAt = -1;
  #drain = USUAL_DRAIN;
  #backoff = 0;
  #notBefore = 0;
  /** Whether those were of this pool who were in the way last. */
  #wasOwn = false;
  #nextReport = 0;

  constructor(
    settings: CheckpointSettings,
    connection: ConnectionOptions,
    owner: CheckpointsOwner,
  ) {
    this.#settings = settings;
    this.#owner = owner;
    this.#others = new OtherReaders(connection.file);
    this.#least = settings.walPages;
    this.#keeper = new Keeper(connection, owner);
    this.#reset = new Reset(
      {
        ...owner,
        // Held reads may wait for no more than they must.
        waiting: () => this.#brake(this.#bytes(), true),
        moved: (outcome) => this.#moved(outcome),
      },
      this.#keeper,
      this.#holds,
    );
  }

  /** After each answer of the writer, at `now`: this must cost next to nothing. */
  written(now: number): void {
    this.#dirty = true;
    this.#written = true;
    if (this.#timer === undefined) this.#wait();
    if (this.#working || this.#stopped || this.#later !== undefined) return;
    if (now >= this.#nextLook) this.#look(now);
    else this.#lookLater(this.#nextLook - now);
  }

  /** The last write of many is followed by a look too. */
  #lookLater(ms: number): void {
    this.#later = setTimeout(() => {
      this.#later = undefined;
      if (!this.#working && !this.#stopped) this.#look(performance.now());
    }, ms);
    this.#later.unref();
  }

  /** Something of the pool has ended. */
  stirred(): void {
    this.#reset.stirred();
  }

  /** A checkpoint by hand, of any mode. */
  async byHand(mode: string, limit: number): Promise<CheckpointOutcome> {
    return this.#alone(async () => {
      if (mode === 'PASSIVE') {
        const outcome = await this.#keeper.checkpoint(0);
        this.#learn(outcome);
        this.#tell(mode, outcome);
        return outcome;
      }
      const { outcome } = await this.#empty({ mode, limit, asked: true });
      return outcome as CheckpointOutcome;
    });
  }

  stats(): CheckpointStats {
    const { slowReads, reads, writes } = this.#holds;
    return {
      ...this.#counts,
      latency: this.#latency.read(),
      holds: { slowReads: slowReads.read(), reads: reads.read(), writes: writes.read() },
    };
  }

  /** No checkpoint begins from now on by itself, and none waits for readers any longer. */
  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#timer);
    clearTimeout(this.#later);
    this.#reset.stop();
    this.#owner.brake(0);
  }

  /** Ends the upkeep thread, after what it does. */
  async close(): Promise<void> {
    this.stop();
    await this.#last;
    await this.#keeper.close();
  }

  /** Ends the upkeep thread: who waits for a checkpoint hears of the cause. */
  async terminate(cause: Error): Promise<void> {
    this.stop();
    this.#reset.giveUp();
    await this.#keeper.terminate(cause);
  }

  /**
   * The pool is closed, with this last checkpoint: where the WAL is not empty, its reason is told.
   */
  closed(outcome: CheckpointOutcome | undefined, error: unknown): void {
    if (error !== undefined) this.#owner.failed(error);
    if (outcome !== undefined) this.#tell('TRUNCATE', outcome);
    if (outcome?.busy === 0 || this.#owner.walBytes() === 0) return;
    this.#report('close', []);
  }

  #look(now: number): void {
    try {
      if (!this.#keeper.isUp && this.#owner.walBytes() < this.#settings.walPages * this.#pageSize) {
        this.#nextLook = now + SMALL;
        return;
      }
    } catch (error) {
      return this.#failed(error);
    }
    void this.#work(this.#least);
  }

  /** What was written is moved after `interval` at the latest. */
  #wait(): void {
    const { interval } = this.#settings;
    if (interval === 0 || this.#stopped) return;
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      if (!this.#dirty) return;
      if (this.#working) return this.#wait();
      void this.#work(1);
    }, interval);
    this.#timer.unref();
  }

  async #work(least: number): Promise<void> {
    this.#working = true;
    try {
      await this.#alone(() => this.#round(least));
    } catch (error) {
      this.#failed(error);
    } finally {
      this.#working = false;
      const left = this.#nextLook - performance.now();
      // Where the checkpoint took longer than that, at once: Node.js warns of less than nothing.
      const after = Math.max(0, left);
      if (this.#written && !this.#stopped && this.#later === undefined) this.#lookLater(after);
      // Somebody was in the way for a moment: what is left may be the last that is ever written.
      if (this.#dirty && this.#timer === undefined) this.#wait();
    }
  }

  async #round(least: number): Promise<void> {
    const { walLimit } = this.#settings;
    this.#dirty = false;
    this.#written = false;
    const now = performance.now();
    const outcome = await this.#keeper.checkpoint(least);
    let bytes = this.#learn(outcome);
    this.#moved(outcome);
    this.#growth.look(bytes, now);
    const usual = this.#settings.walPages * this.#pageSize;
    const soon = worthEmptying(bytes, this.#owner.walBytes(), usual);
    if (bytes >= Math.min(soon, walLimit * LUCKY) && this.#mayTry()) {
      const report = await this.#tryToEmpty(bytes);
      if (report?.outcome?.busy === 0) bytes = 0;
      else if (bytes >= walLimit) this.#report('limit', report?.pins ?? this.#owner.pins());
    } else if (bytes >= walLimit) {
      this.#report('limit', this.#owner.pins());
    }
    this.#brake(bytes, this.#settings.backpressure);
    this.#nextLook = performance.now() + this.#pause(outcome, bytes);
  }

  #mayTry(): boolean {
    if (this.#stopped) return false;
    if (performance.now() >= this.#notBefore) return true;
    // Those who were in the way are gone: nothing else is known to be.
    return this.#wasOwn && this.#owner.pins().length === 0;
  }

  /** Empties the WAL if nobody is in the way, or if it is time to hold reads for it. */
  async #tryToEmpty(bytes: number): Promise<ResetReport | undefined> {
    const { walLimit, holdLimit } = this.#settings;
    const pins = this.#owner.pins();
    let limit = 0;
    if (pins.length > 0) {
      const then = bytes + this.#growth.rate * this.#drain * 1.5;
      if (bytes < walLimit * DUE || then < walLimit) return undefined;
      // Whoever has been in the way for longer than reads may be held is not waited for.
      if (pins.some(({ ageMs }) => ageMs > holdLimit)) return undefined;
      limit = holdLimit;
    }
    // To shorten a file takes longer than to write over it.
    const mode = this.#owner.walBytes() > walLimit ? 'TRUNCATE' : 'RESTART';
    const report = await this.#empty({ mode, limit, asked: false });
    if (report.outcome?.busy === 0) {
      this.#backoff = 0;
      if (limit > 0) this.#drain += (report.held.slowReads - this.#drain) / 2;
    } else {
      this.#backoff = Math.min(LONGEST_BACKOFF, this.#backoff * 2 || FIRST_BACKOFF);
      this.#notBefore = performance.now() + this.#backoff;
      this.#wasOwn = report.outcome === undefined;
      // Their age is counted from when they were first in the way.
      if (!this.#wasOwn) this.#others.pins(performance.now());
    }
    return report;
  }

  async #empty(request: ResetRequest): Promise<ResetReport> {
    const report = await this.#reset.run(request);
    const { outcome, held } = report;
    if (outcome === undefined) return report;
    this.#learn(outcome);
    if (outcome.busy === 0 && request.mode !== 'FULL') {
      this.#counts.resets++;
      this.#others.forget();
      this.#emptyAt = outcome.log;
      this.#growth.emptied();
    }
    this.#tell(request.mode, outcome, held);
    return report;
  }

  /** What a checkpoint told of the WAL; returns how many bytes of it are in use. */
  #learn(outcome: CheckpointOutcome): number {
    const { log, checkpointed, pageSize, besideBytes, besideLeft } = outcome;
    this.#pageSize = pageSize;
    if (besideLeft > 0) this.#dirty = true;
    // Another process checkpoints at this moment: it knows.
    if (log < 0) return this.#bytes();
    const left = log - checkpointed;
    if (left > 0) this.#dirty = true;
    // What a reader keeps from being moved is not tried again before more has come.
    if (left === 0) this.#least = this.#settings.walPages;
    else if (left >= this.#least) this.#least = left + this.#settings.walPages;
    // After RESTART nothing tells, before the next write, that this will begin anew.
    if (log !== this.#emptyAt) this.#emptyAt = -1;
    const own = this.#emptyAt < 0 ? log * (pageSize + FRAME_HEADER) : 0;
    const bytes = Math.max(own, besideBytes);
    this.#known = { bytes, size: this.#owner.walBytes() };
    return bytes;
  }

  /** How long until the WAL may need something, in ms. */
  #pause({ log, checkpointed, pageSize }: CheckpointOutcome, bytes: number): number {
    const { walLimit } = this.#settings;
    const pages = this.#least - Math.max(0, log - checkpointed);
    const stages = [LUCKY * walLimit, DUE * walLimit, walLimit].map((stage) => stage - bytes);
    const next = Math.min(pages * pageSize, ...stages.filter((left) => left > 0));
    return Math.max(SOONEST, Math.min(LATEST, this.#growth.until(next) / 2));
  }

  /** How much of the WAL is in use now, in bytes. */
  #bytes(): number {
    // The file keeps its size when SQLite begins anew in it; once it grows, all of it is in use.
    const size = this.#owner.walBytes();
    return size > this.#known.size ? size : this.#known.bytes;
  }

  #brake(bytes: number, on: boolean): void {
    const { walLimit } = this.#settings;
    const over = on ? bytes - walLimit : 0;
    this.#owner.brake(over > 0 ? Math.min(MOST_BRAKE, (BRAKE * over) / walLimit) : 0);
  }

  #moved(outcome: CheckpointOutcome): void {
    if (outcome.moved > 0) this.#tell('PASSIVE', outcome);
  }

  #tell(
    mode: string,
    { busy, log, checkpointed, moved, ms }: CheckpointOutcome,
    held = { slowReads: 0, reads: 0, writes: 0 },
  ): void {
    this.#counts.count++;
    this.#counts.pages += moved;
    this.#latency.record(ms);
    this.#owner.checkpointed({ mode, busy, log, checkpointed, pages: moved, ms, held });
  }

  #report(at: 'limit' | 'close', pins: Pin[]): void {
    const now = performance.now();
    if (at === 'limit' && now < this.#nextReport) return;
    // Who was in the way once, and is not known, may have been there for a moment only.
    if (at === 'limit' && pins.length === 0 && this.#backoff <= FIRST_BACKOFF) return;
    this.#nextReport = now + REPORT;
    this.#counts.pinned++;
    const all = [...pins, ...this.#others.pins(now)];
    if (all.length === 0) all.push({ kind: 'unknown', ageMs: 0, openedAt: '' });
    const walBytes = this.#owner.walBytes();
    this.#owner.pinned({ at, walBytes, pins: all });
  }

  #failed(error: unknown): void {
    if (this.#stopped) return;
    this.#counts.failed++;
    this.#dirty = true;
    this.#backoff = Math.min(LONGEST_BACKOFF, this.#backoff * 2 || FIRST_BACKOFF);
    this.#nextLook = performance.now() + this.#backoff;
    this.#notBefore = this.#nextLook;
    this.#wasOwn = false;
    this.#owner.failed(error);
  }

  /** One checkpoint at a time. */
  #alone<T>(work: () => Promise<T>): Promise<T> {
    const mine = this.#last.then(work);
    this.#last = mine.catch(() => {});
    return mine;
  }
}
