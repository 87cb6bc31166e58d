import type { Pin } from '../../observing/events.js';
import type { Latency } from '../../observing/stats.js';
import type { CheckpointOutcome } from '../../threads/protocol.js';
import type { Keeper } from './keeper.js';

/** How long, in ms, the writer's connection waits for readers of other processes at a time. */
const PATIENCE = 50;
/** How often, in ms, whoever is in the way is looked for, beside being told. */
const LOOK = 20;
/** How long a checkpoint by hand waits, in ms, until it tries again behind another process. */
const AGAIN = 50;

/** What is moved beside the writer, before it must wait: all but so few pages, … */
const FEW = 64;
/** … again while so many were moved, which took a while, in which others were written. */
const MANY = 500;
const MOST_ROUNDS = 6;

/** What the pool does for a checkpoint that must empty the WAL. */
export interface ResetOwner {
  /** Who of this pool keeps the WAL from being emptied. */
  pins(): Pin[];
  /** Holds new reads: those that may be slow, or all. */
  hold(level: 'slow' | 'all'): void;
  release(): void;
  /** Now and then while it is waited for others. */
  waiting(): void;
  /** What was moved beside the writer. */
  moved(outcome: CheckpointOutcome): void;
  /** Checkpoints on the writer, in a turn of its own; `begun` is called when it has the turn. */
  onWriter(
    mode: string,
    patience: number,
    acquireTimeout: number,
    begun: () => void,
  ): Promise<CheckpointOutcome>;
}

export interface Holds {
  slowReads: Latency;
  reads: Latency;
  writes: Latency;
}

export interface ResetRequest {
  mode: string;
  /** How long reads and writes under way may take to end, in ms. */
  limit: number;
  /** Whether somebody waits for it: it then tries to its limit, and keeps the process alive. */
  asked: boolean;
}

export interface ResetReport {
  /** What came of it; undefined where somebody was in the way. */
  outcome: CheckpointOutcome | undefined;
  /** Who was in the way. */
  pins: Pin[];
  /** How long, in ms, reads that may be slow, all reads, and writes were held. */
  held: { slowReads: number; reads: number; writes: number };
}

/**
 * Empties the WAL. As long as readers overlap, somebody always reads from it, and it grows: so
 * those are held that would begin now, until those have ended that have begun.
 */
export class Reset {
  readonly #owner: ResetOwner;
  readonly #keeper: Keeper;
  readonly #holds: Holds;
  #stopped = false;
  #over = false;
  #look: (() => void) | undefined;

  constructor(owner: ResetOwner, keeper: Keeper, holds: Holds) {
    this.#owner = owner;
    this.#keeper = keeper;
    this.#holds = holds;
  }

  /** Something of the pool has ended: perhaps what is waited for. */
  stirred(): void {
    this.#look?.();
  }

  /** By itself it waits for nobody from now on. */
  stop(): void {
    this.#stopped = true;
    this.#look?.();
  }

  /** Nor does it where somebody asked. */
  giveUp(): void {
    this.#over = true;
    this.#look?.();
  }

  async run({ mode, limit, asked }: ResetRequest): Promise<ResetReport> {
    const started = performance.now();
    const until = started + limit;
    const held = { slowReads: 0, reads: 0, writes: 0 };
    this.#owner.hold('slow');
    try {
      const pins = await this.#drained(until, asked);
      if (pins.length > 0 && !asked) return { outcome: undefined, pins, held };
      const most = await this.#moveMost();
      let outcome = await this.#onWriter(mode, until, held);
      // Somebody of this pool has the writer all along.
      if (outcome === undefined && !asked) return { outcome, pins: this.#owner.pins(), held };
      outcome ??= { ...most, moved: 0, busy: 1 };
      while (asked && outcome.busy > 0 && !this.#over && performance.now() < until) {
        await new Promise((resolve) => setTimeout(resolve, AGAIN));
        outcome = (await this.#onWriter(mode, until, held)) ?? outcome;
      }
      return { outcome, pins: outcome.busy > 0 ? this.#owner.pins() : [], held };
    } finally {
      this.#owner.release();
      held.slowReads = performance.now() - started;
      this.#holds.slowReads.record(held.slowReads);
    }
  }

  /** What can be moved while everybody writes need not be moved while nobody may. */
  async #moveMost(): Promise<CheckpointOutcome> {
    for (let round = 1; ; round++) {
      const outcome = await this.#move(FEW);
      this.#owner.waiting();
      if (outcome.moved < MANY || round === MOST_ROUNDS) return outcome;
    }
  }

  async #move(least: number): Promise<CheckpointOutcome> {
    const outcome = await this.#keeper.checkpoint(least);
    this.#owner.moved(outcome);
    return outcome;
  }

  /** Undefined where the writer could not be had in time. */
  async #onWriter(
    mode: string,
    until: number,
    held: ResetReport['held'],
  ): Promise<CheckpointOutcome | undefined> {
    const wait = Math.max(PATIENCE, until - performance.now());
    let begun: number | undefined;
    try {
      return await this.#owner.onWriter(mode, PATIENCE, Math.ceil(wait), () => {
        begun = performance.now();
        this.#owner.hold('all');
      });
    } catch (error) {
      const { code } = error as { code?: unknown };
      if (begun === undefined && code === 'POOL_TIMEOUT') return undefined;
      throw error;
    } finally {
      if (begun !== undefined) {
        const took = performance.now() - begun;
        this.#owner.hold('slow');
        held.reads += took;
        held.writes += took;
        this.#holds.reads.record(took);
        this.#holds.writes.record(took);
      }
    }
  }

  /** Waits for those who are in the way, and tells who still is. */
  #drained(until: number, asked: boolean): Promise<Pin[]> {
    let most = this.#owner.pins().length;
    return new Promise((resolve, reject) => {
      const look = () => {
        const pins = this.#owner.pins();
        this.#owner.waiting();
        if (pins.length > 0 && pins.length < most) {
          // What it kept in the WAL can be moved while the others are waited for.
          this.#move(MANY).catch(reject);
          most = pins.length;
        }
        const ends = this.#over || (this.#stopped && !asked) || performance.now() >= until;
        if (pins.length > 0 && !ends) return;
        clearInterval(timer);
        this.#look = undefined;
        resolve(pins);
      };
      const timer = setInterval(look, LOOK);
      if (!asked) timer.unref();
      this.#look = look;
      look();
    });
  }
}
