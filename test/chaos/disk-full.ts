import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { createPool, type Pool } from '@poolite/core';
import Database from 'better-sqlite3';
import { randomFrom } from '../support/random.ts';
import { type Disk, smallDisk } from './disk.ts';
import { PATIENT } from './entries.ts';
import { Report, type Tries } from './report.ts';

/** The disk, what is kept back of it to make room later, and the largest that one part may be. */
const DISK_KB = 6144;
const RESERVE_KB = 4608;
const LARGEST_PART = 12_000;
/** Waves of calls that are refused before there is room again. */
const FULL_WAVES = 3;

const INSERT = 'INSERT INTO entry (number, part, bytes) VALUES (?, ?, randomblob(?))';

/** How a call may end on a full disk. */
const EXPECTED = new Set(['stored', 'SQLITE_FULL', 'POOL_OUTCOME_UNKNOWN']);

interface Kind {
  parts: number;
  /** How many of them are called at once. */
  calls: number;
  write(pool: Pool, number: number, sizes: readonly number[]): Promise<unknown>;
}

const KINDS: Readonly<Record<string, Kind>> = {
  'one-shot': {
    ...{ parts: 1, calls: 24 },
    write: (pool, number, [size]) => pool.run(INSERT, [number, 1, size as number]),
  },
  batch: {
    ...{ parts: 3, calls: 4 },
    write: (pool, number, sizes) =>
      pool.batch(sizes.map((size, i) => ({ sql: INSERT, params: [number, i + 1, size] }))),
  },
  transaction: {
    ...{ parts: 3, calls: 6 },
    write: (pool, number, sizes) =>
      pool.transaction(async (tx) => {
        for (const [i, size] of sizes.entries()) await tx.run(INSERT, [number, i + 1, size]);
      }),
  },
  runMany: {
    ...{ parts: 40, calls: 1 },
    write: (pool, number, sizes) =>
      pool.runMany(
        INSERT,
        sizes.map((size, i) => [number, i + 1, size]),
      ),
  },
};

interface Call {
  kind: string;
  parts: number;
  outcome: string;
}

/** Calls by their number, with what their callers heard. */
class Calls {
  readonly all = new Map<number, Call>();
  readonly #pool: Pool;
  readonly #random: () => number;

  constructor(pool: Pool, random: () => number) {
    this.#pool = pool;
    this.#random = random;
  }

  /** Calls of all kinds at once; those that are answered when all are. */
  async wave(): Promise<Call[]> {
    const wave: Promise<Call>[] = [];
    for (const [kind, { calls, parts, write }] of Object.entries(KINDS)) {
      for (let i = 0; i < calls; i++) {
        const number = this.all.size + 1;
        const call: Call = { kind, parts, outcome: 'not answered' };
        this.all.set(number, call);
        const sizes = Array.from({ length: parts }, () => 1 + this.#random() * LARGEST_PART);
        wave.push(heard(call, write(this.#pool, number, sizes.map(Math.floor))));
      }
    }
    return Promise.all(wave);
  }
}

async function heard(call: Call, answer: Promise<unknown>): Promise<Call> {
  try {
    await answer;
    call.outcome = 'stored';
  } catch (error) {
    call.outcome = (error as { code?: string }).code ?? String(error);
  }
  return call;
}

/**
 * The disk becomes full in the middle of a group: everybody hears, nothing is stored by half, also
 * not where a crash follows, and when there is room the pool works on.
 */
export async function diskFull(
  synchronous: 'normal' | 'full',
  { rounds, seed }: Tries,
): Promise<Report> {
  const report = new Report();
  const random = randomFrom(seed);
  for (let round = 0; round < rounds; round++) {
    const disk = smallDisk(DISK_KB);
    if ('reason' in disk) {
      report.skipped = disk.reason;
      return report;
    }
    try {
      await fill(disk, synchronous, random, report);
      report.count('disks filled');
    } finally {
      disk.remove();
    }
  }
  const refused = Object.keys(KINDS).map((kind) => `${kind}: SQLITE_FULL`);
  report.fired(...refused, 'stored when there was room');
  // Mostly two for each disk: a few disks may have none.
  if (rounds >= 10) report.fired('waves stored in part');
  return report;
}

async function fill(
  disk: Disk,
  synchronous: 'normal' | 'full',
  random: () => number,
  report: Report,
): Promise<void> {
  const file = join(disk.folder, 'full.db');
  const reserve = join(disk.folder, 'reserve');
  writeFileSync(reserve, Buffer.alloc((RESERVE_KB + random() * 512) * 1024));
  // Checkpoints grow the database file: it is they who meet the full disk as often as the writer.
  const walPages = random() < 0.5 ? 40 : 1000;
  const pool = createPool(file, { readers: 1, ...PATIENT, synchronous, checkpoint: { walPages } });
  try {
    await pool.exec('CREATE TABLE entry (number INTEGER, part INTEGER, bytes BLOB)');
    const calls = new Calls(pool, random);
    for (let refused = 0; refused < FULL_WAVES; ) {
      const wave = await calls.wave();
      const stored = wave.filter(({ outcome }) => outcome === 'stored').length;
      if (stored < wave.length) refused++;
      if (stored > 0 && stored < wave.length) report.count('waves stored in part');
    }
    compare(await counted(pool), calls.all, 'the pool', report);
    compare(afterCrash(file, report), calls.all, 'after a crash', report);
    rmSync(reserve);
    for (const { kind, outcome } of await calls.wave()) {
      report.expect(outcome === 'stored', () => `${kind} with room again: ${outcome}`);
      report.count('stored when there was room');
    }
    for (const { kind, outcome } of calls.all.values()) {
      report.expect(EXPECTED.has(outcome), () => `${kind}: ${outcome}`);
      report.count(`${kind}: ${outcome}`);
    }
    await pool.close();
    compare(read(file, report), calls.all, 'when closed', report);
  } finally {
    await pool.close({ force: true });
  }
}

type Counted = ReadonlyMap<number, number>;

const COUNT = 'SELECT number, count(*) FROM entry GROUP BY number';

async function counted(pool: Pool): Promise<Counted> {
  return new Map(await pool.values<[number, number]>(COUNT));
}

function read(file: string, report: Report): Counted {
  const db = new Database(file);
  const integrity = db.pragma('integrity_check', { simple: true });
  report.expect(integrity === 'ok', () => `integrity: ${integrity}`);
  const rows = db.prepare(COUNT).raw().all() as [number, number][];
  db.close();
  return new Map(rows);
}

/** What whoever opens the files finds, had the process died at this moment. */
function afterCrash(file: string, report: Report): Counted {
  const folder = mkdtempSync(join(tmpdir(), 'poolite-full-'));
  try {
    // By another process: this one would lose its locks by closing the files. Not the -shm file,
    // which is made anew where nobody has the database open.
    const { status, stderr } = spawnSync('cp', [file, `${file}-wal`, folder], { encoding: 'utf8' });
    if (status !== 0) throw new Error(`cp: ${stderr}`);
    return read(join(folder, basename(file)), report);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function compare(
  stored: Counted,
  calls: ReadonlyMap<number, Call>,
  where: string,
  report: Report,
): void {
  for (const [number, { kind, parts, outcome }] of calls) {
    const there = stored.get(number) ?? 0;
    const isUnknown = outcome === 'POOL_OUTCOME_UNKNOWN';
    const isRight = isUnknown ? there === 0 || there === parts : there === wanted(outcome, parts);
    report.expect(
      isRight,
      () => `${where}: ${kind} ${number} heard ${outcome}, ${there} of ${parts} are stored`,
    );
  }
}

function wanted(outcome: string, parts: number): number {
  return outcome === 'stored' ? parts : 0;
}
