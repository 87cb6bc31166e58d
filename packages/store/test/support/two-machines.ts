import { join } from 'node:path';
import type { Pool } from '@poolite/core';
import { FolderBucket } from '@poolite/store';
import { freshFolder } from './fresh.ts';
import { machine } from './machines.ts';

/** A machine of several that have one log. */
export interface Machine {
  readonly pool: Pool;
  /** Awaited before each of its entries is stored. */
  before: () => Promise<void> | void;
}

/** A bucket that waits for its machine before it stores an entry. No test cuts the power: nothing need be synced. */
class WaitingBucket extends FolderBucket {
  machine: Machine | undefined;

  constructor(folder: string) {
    super(folder, { sync: false });
  }

  override async create(key: string, body: Uint8Array): Promise<'created' | 'exists'> {
    if (key.startsWith('log/')) await this.machine?.before();
    return super.create(key, body);
  }
}

/** Two machines, neither of which looks at the log unless it is told to, or was beaten. */
export function twoMachines(): [Machine, Machine] {
  const folder = freshFolder();
  const open = (name: string): Machine => {
    const bucket = new WaitingBucket(join(folder, 'log'));
    const pool = machine(bucket, join(folder, name), { store: { snapshotEvery: 0 } });
    bucket.machine = { pool, before: () => {} };
    return bucket.machine;
  };
  return [open('a.db'), open('b.db')];
}

/**
 * Lets a machine wait with its entry of that number, counted from now, until it is told to go on.
 *
 * @returns `reached`: the entry is about to be stored.
 */
export function hold(machine: Machine, number = 1): { reached: Promise<void>; go: () => void } {
  let reach = () => {};
  let go = () => {};
  const reached = new Promise<void>((resolve) => {
    reach = resolve;
  });
  const going = new Promise<void>((resolve) => {
    go = resolve;
  });
  let entries = 0;
  machine.before = () => {
    if (++entries !== number) return;
    reach();
    return going;
  };
  return { reached, go };
}
