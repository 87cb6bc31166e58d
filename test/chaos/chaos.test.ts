import { randomInt } from 'node:crypto';
import { expect, test } from 'vitest';
import { diskFull } from './disk-full.ts';
import { ioFaults } from './io-faults.ts';
import { kill } from './kill.ts';
import type { Report, Tries } from './report.ts';
import { sharedWriter } from './shared-writer.ts';
import { tornWal } from './torn-wal.ts';

/** `pnpm test:chaos` tries each of these for longer, and repeats what a seed began. */
const SEED = Number(process.env.CHAOS_SEED ?? randomInt(1, 2 ** 31));

type Row = [promise: string, rounds: number, fault: (tries: Tries) => Promise<Report>];

const ROWS: Row[] = [
  ['a process that is killed, full', 25, (tries) => kill('full', tries)],
  ['a process that is killed, normal', 25, (tries) => kill('normal', tries)],
  ['processes that share a writer and are killed', 10, (tries) => sharedWriter(3, tries)],
  ['a disk that is full in the middle of a group, full', 2, (tries) => diskFull('full', tries)],
  ['a disk that is full in the middle of a group, normal', 2, (tries) => diskFull('normal', tries)],
  ['a disk that fails to sync, to write and to read', 3, ioFaults],
  ['a WAL whose end is torn off or spoiled', 2, tornWal],
];

// What is tried at random is not tried again.
test.runIf(process.platform !== 'win32').each(ROWS)(
  'what was acknowledged is kept, whole: %s',
  { retry: 0 },
  async (name, rounds, fault) => {
    console.log(`${name}: ${rounds} rounds, CHAOS_SEED=${SEED}`);
    const { counts, wrong, skipped } = await fault({ rounds, seed: SEED });
    console.log(skipped === undefined ? JSON.stringify(counts) : `skipped: ${skipped}`);
    expect(wrong).toEqual([]);
  },
);
