import { randomInt } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { diskFull } from './disk-full.ts';
import { history } from './history.ts';
import { ioFaults } from './io-faults.ts';
import { kill } from './kill.ts';
import { model } from './model.ts';
import type { Report, Tries } from './report.ts';
import { sharedWriter } from './shared-writer.ts';
import { tornWal } from './torn-wal.ts';

/** `pnpm test:chaos` tries each of these for longer, and repeats what a seed began. */
const SEED = Number(process.env.CHAOS_SEED ?? randomInt(1, 2 ** 31));

/** In ms: it only ends what hangs. A machine may stand still for minutes. */
const LIMIT = 900_000;

type Row = [promise: string, rounds: number, fault: (tries: Tries) => Promise<Report>];

const KEPT: Row[] = [
  ['a process that is killed, full', 7, (tries) => kill('full', tries)],
  ['a process that is killed, normal', 7, (tries) => kill('normal', tries)],
  ['processes that share a writer and are killed', 5, (tries) => sharedWriter(3, tries)],
  ['a disk that is full in the middle of a group, full', 2, (tries) => diskFull('full', tries)],
  ['a disk that is full in the middle of a group, normal', 2, (tries) => diskFull('normal', tries)],
  ['a disk that fails to sync, to write and to read', 3, ioFaults],
  ['a WAL whose end is torn off or spoiled', 2, tornWal],
];

const SERIAL: Row[] = [['of one process', 1, history]];

async function tried([name, rounds, fault]: Row): Promise<void> {
  console.log(`${name}: ${rounds} rounds, CHAOS_SEED=${SEED}`);
  const { counts, wrong, skipped } = await fault({ rounds, seed: SEED });
  console.log(skipped === undefined ? JSON.stringify(counts) : `skipped: ${skipped}`);
  expect(wrong).toEqual([]);
}

// What is tried at random is not tried again.
describe.runIf(process.platform !== 'win32')('at random', { retry: 0, timeout: LIMIT }, () => {
  test.each(KEPT)('what was acknowledged is kept, whole: %s', (...row) => tried(row));

  test('any mix of calls, deaths and closings is answered truly', () =>
    tried(['mixes of commands', 6, model]));

  test.each(SERIAL)('transactions are as if one ran after the other: %s', (...row) => tried(row));
});
