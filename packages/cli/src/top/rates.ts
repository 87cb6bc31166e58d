import type { PoolStats, RunningPool } from '@poolite/core';

/** One look at a pool. */
export interface Sample {
  /** When, in ms, on a clock that only goes forward. */
  at: number;
  stats: PoolStats;
}

/** What a pool did between two looks, per second, and what it is doing. */
export interface Rates {
  reads: number;
  /** Of the reads, how many ran on the calling thread, from 0 to 1. */
  inlinePart: number;
  writes: number;
  groups: number;
  /** Writes of the usual group. */
  groupSize: number;
  transactions: number;
  /** Mean times from the call to the answer, in ms; 0 where there were none. */
  inlineMs: number;
  readMs: number;
  writeMs: number;
}

interface Latency {
  count: number;
  mean: number;
}

/** The mean of what was measured between two looks at a histogram that is never cleared. */
function meanBetween(before: Latency, after: Latency): number {
  const count = after.count - before.count;
  return count <= 0
    ? 0
    : Math.max(0, after.mean * after.count - before.mean * before.count) / count;
}

/** The rates between two looks at one pool. */
export function ratesOf(before: Sample, after: Sample): Rates {
  const seconds = Math.max(0.001, (after.at - before.at) / 1000);
  const a = before.stats;
  const b = after.stats;
  const inline = b.reads.inline - a.reads.inline;
  const reads = inline + b.reads.threaded - a.reads.threaded;
  const writes = b.writes.count - a.writes.count;
  const groups = b.writes.groups - a.writes.groups;
  return {
    reads: reads / seconds,
    inlinePart: reads === 0 ? 0 : inline / reads,
    writes: writes / seconds,
    groups: groups / seconds,
    groupSize: groups === 0 ? 0 : writes / groups,
    transactions: (b.transactions.count - a.transactions.count) / seconds,
    inlineMs: meanBetween(a.latency.inline, b.latency.inline),
    readMs: meanBetween(a.latency.read, b.latency.read),
    writeMs: meanBetween(a.latency.write, b.latency.write),
  };
}

/** A pool as it is watched. */
export interface Watched {
  readonly pool: RunningPool;
  /** Undefined at the first look, and where it does not answer. */
  readonly rates: Rates | undefined;
  /** Writes per second of the last looks, the newest last. */
  readonly history: readonly number[];
}

/** What is remembered of a pool. */
interface Seen {
  sample: Sample;
  history: number[];
}

const HISTORY = 30;

/** Remembers the pools of the last look, so that the next one gives rates. */
export class Watch {
  #last = new Map<string, Seen>();

  look(pools: readonly RunningPool[], at: number): Watched[] {
    const next = new Map<string, Seen>();
    const watched = pools.map((pool): Watched => {
      const before = this.#last.get(pool.socket);
      if (pool.told === undefined) {
        if (before !== undefined) next.set(pool.socket, before);
        return { pool, rates: undefined, history: before?.history ?? [] };
      }
      const sample = { at, stats: pool.told.stats };
      const rates = before && ratesOf(before.sample, sample);
      const history = [...(before?.history ?? []), ...(rates ? [rates.writes] : [])].slice(
        -HISTORY,
      );
      next.set(pool.socket, { sample, history });
      return { pool, rates, history };
    });
    this.#last = next;
    return watched;
  }
}
