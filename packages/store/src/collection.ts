import { MOST_KEYS } from './bucket.js';
import { DamagedError } from './envelope.js';
import { numberOf, PIECES, SEGMENTS, snapshotKey } from './keys.js';
import type { Log } from './log.js';
import { parallel } from './parallel.js';
import { checkPieces, readSnapshot } from './snapshots.js';

/** Entries buried at once. */
const WINDOW = 16;
/** Requests that remove objects under way at once. */
const REMOVALS = 8;
/** Objects that one call buries or removes at most, where it is not told. */
const MOST = 1000;

/** What a collection did. */
export interface Collected {
  /** Entries in whose place is a tombstone now. */
  readonly buried: number;
  /** Segments, snapshots and pieces of snapshots that are gone now. */
  readonly removed: number;
  /** Whether there is more to do: the call came to its limit. */
  readonly more: boolean;
}

/**
 * Collects what the two newest snapshots make needless: entries up to the older of the two become
 * tombstones, and their segments and all older snapshots are removed. Entries are never deleted: in
 * a free slot a machine that was away could store an entry of a log that went on without it, and be
 * told that all is well.
 *
 * No clock is involved. A segment has the number of its entry in its key. Once that slot holds a
 * tombstone no entry will ever name the segment, whoever stored it and whatever became of them.
 *
 * Any number of machines may collect at once, and be killed at any point: what one has not done,
 * the next does. A DamagedError says why nothing is collected: one of the two snapshots is not
 * whole, or not of this log.
 */
export async function collect(log: Log, { most = MOST } = {}): Promise<Collected> {
  const snapshots = await log.snapshots();
  const [kept, newest] = snapshots.slice(-2);
  if (kept === undefined || newest === undefined) return { buried: 0, removed: 0, more: false };
  await checkSnapshot(log, kept);
  await checkSnapshot(log, newest);
  const { upTo, buried } = await bury(log, kept, most);
  let left = most - buried;
  let removed = 0;
  const remove = async (keys: readonly string[]) => {
    const some = keys.slice(0, left);
    await parallel(some, REMOVALS, (key) => log.bucket.remove(key));
    left -= some.length;
    removed += some.length;
  };
  await remove(await numbered(log, SEGMENTS, upTo, left));
  // First what names the pieces: who finds one missing looks whether it is still named.
  await remove(snapshots.filter((number) => number < kept).map(snapshotKey));
  await remove(await numbered(log, PIECES, kept - 1, left));
  return { buried, removed, more: left === 0 };
}

/** A snapshot that is not whole would be all that is left of the entries before it. */
async function checkSnapshot(log: Log, number: number): Promise<void> {
  const snapshot = await readSnapshot(log.bucket, number);
  if (snapshot === undefined) throw new DamagedError(`the snapshot ${number} is gone`);
  if (snapshot.token !== (await log.tokenAt(number))) {
    throw new DamagedError(`the snapshot ${number} is damaged: it is of another entry ${number}`);
  }
  await checkPieces(log.bucket, snapshot);
}

/** Buries entries in order; gives the number up to which all are. */
async function bury(
  log: Log,
  last: number,
  most: number,
): Promise<{ upTo: number; buried: number }> {
  const done = await lastBuried(log, last);
  if (done === last) return { upTo: last, buried: 0 };
  let buried = 0;
  // Who was killed in the middle of a window may have left out some before the last that it did.
  let next = Math.max(1, done - WINDOW + 1);
  while (next <= last && buried < most) {
    const count = Math.min(WINDOW, last - next + 1, most - buried);
    const one = async (number: number) => {
      if ((await log.bury(number)) === 'buried') buried++;
    };
    // The last one comes last: where it is buried, those before it are.
    await parallel([...Array(count - 1).keys()], WINDOW, (at) => one(next + at));
    await one(next + count - 1);
    next += count;
  }
  return { upTo: next - 1, buried };
}

/** The last entry up to `last` that is buried; those before it are, but for a window. */
async function lastBuried(log: Log, last: number): Promise<number> {
  if (await log.isBuried(last)) return last;
  let [buried, not] = [0, last];
  while (not - buried > 1) {
    const middle = Math.floor((buried + not) / 2);
    if (await log.isBuried(middle)) buried = middle;
    else not = middle;
  }
  return buried;
}

/** Keys below a prefix whose number is at most so large: they come first. */
async function numbered(log: Log, prefix: string, upTo: number, most: number): Promise<string[]> {
  const found: string[] = [];
  for (let after: string | undefined; found.length < most; ) {
    const keys = await log.bucket.list(prefix, after);
    const own = keys.filter((key) => (numberOf(key) ?? Number.POSITIVE_INFINITY) <= upTo);
    found.push(...own);
    if (keys.length < MOST_KEYS || own.length < keys.length) break;
    after = keys.at(-1);
  }
  return found;
}
