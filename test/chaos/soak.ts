import { existsSync, mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import Database from 'better-sqlite3';
import { randomFrom } from '../support/random.ts';
import { Report, type Tries } from './report.ts';
import { openSoaked, SoakLoad, WAL_LIMIT } from './soak/load.ts';

const MB = 1024 * 1024;
const MINUTE = 60_000;
/** Looks at what there is in a minute. */
const LOOKS = 12;

/** What may grow. */
interface Look {
  rssMB: number;
  heapMB: number;
  /** Beside the heap: buffers. */
  buffersMB: number;
  threads: number;
  files: number;
  walMB: number;
}

/**
 * How much larger each may be at the end than it was after a while: that much it goes up and down by
 * itself. Threads and open files are as many as before, to the last one.
 */
const ALLOWED: Readonly<Record<keyof Look, (before: number) => number>> = {
  rssMB: (before) => before * 1.2 + 24,
  heapMB: (before) => before * 1.15 + 2,
  buffersMB: (before) => before + 8,
  threads: (before) => before,
  files: (before) => before,
  walMB: () => (1.5 * WAL_LIMIT) / MB,
};

/** Mixed load for so many minutes: memory, threads, open files and the WAL stay what they are. */
export async function soak({ rounds: minutes, seed }: Tries): Promise<Report> {
  const report = new Report();
  if (!existsSync('/proc/self/task')) {
    report.skipped = 'threads and open files are counted in /proc, which is not here';
    return report;
  }
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  const warned = (warning: Error) => report.expect(false, () => `a warning: ${warning.message}`);
  process.on('warning', warned);
  const folder = mkdtempSync(join(tmpdir(), 'poolite-soak-'));
  const file = join(folder, 'soak.db');
  try {
    await opened(join(folder, 'first.db'));
    const before = await lookAt(file, collect);
    const load = new SoakLoad(file, randomFrom(seed));
    const looks: Look[] = [];
    await load.begin();
    for (let i = 0; i < minutes * LOOKS; i++) {
      await delay(MINUTE / LOOKS);
      const look = await load.resting(() => lookAt(file, collect));
      looks.push(look);
      if (i % LOOKS === LOOKS - 1) console.log(`  minute ${(i + 1) / LOOKS}: ${told(look)}`);
    }
    await load.end();
    judge(looks, report);
    for (const [what, times] of Object.entries(load.counts)) report.count(what, times);
    await returned(before, file, collect, report);
    const db = new Database(file, { readonly: true });
    const integrity = db.pragma('integrity_check', { simple: true });
    db.close();
    report.expect(integrity === 'ok', () => `integrity: ${integrity}`);
  } finally {
    process.off('warning', warned);
    rmSync(folder, { recursive: true, force: true });
  }
  report.fired('insert', 'transfer', 'runMany', 'stream', 'snapshot', 'lease', 'backup');
  report.fired('given up: POOL_ABORTED', 'late: POOL_TIMEOUT', 'death: POOL_THREAD_LOST');
  report.fired('another pool');
  return report;
}

/** What a first pool of a process brings along for good: pages of code, threads of Node.js. */
async function opened(file: string): Promise<void> {
  const pool = openSoaked(file);
  await pool.exec('CREATE TABLE t (v)');
  await pool.backup(`${file}.backup`);
  await pool.close();
}

async function lookAt(file: string, collect: () => void): Promise<Look> {
  // What was let go of at the end of a thread or a stream is freed by and by.
  for (let i = 0; i < 3; i++) {
    collect();
    await delay(20);
  }
  const { rss, heapUsed, arrayBuffers } = process.memoryUsage();
  const wal = `${file}-wal`;
  return {
    ...{ rssMB: rss / MB, heapMB: heapUsed / MB, buffersMB: arrayBuffers / MB },
    threads: readdirSync('/proc/self/task').length,
    // But for the one that lists them.
    files: readdirSync('/proc/self/fd').length - 1,
    walMB: existsSync(wal) ? statSync(wal).size / MB : 0,
  };
}

function told(look: Look): string {
  return Object.entries(look)
    .map(([what, value]) => `${what} ${Number(value.toFixed(1))}`)
    .join(', ');
}

/** The last sixth of the time against the second. */
function judge(looks: readonly Look[], report: Report): void {
  const sixth = Math.ceil(looks.length / 6);
  const middle = (some: readonly Look[], what: keyof Look) => {
    const values = some.map((look) => look[what]).sort((a, b) => a - b);
    return values[values.length >> 1] as number;
  };
  for (const what of Object.keys(ALLOWED) as (keyof Look)[]) {
    const before = middle(looks.slice(sixth, 2 * sixth), what);
    const after = middle(looks.slice(-sixth), what);
    const most = ALLOWED[what](before);
    report.count(`${what}, after a while`, Number(before.toFixed(1)));
    report.count(`${what}, at the end`, Number(after.toFixed(1)));
    report.expect(after <= most, () => `${what} went from ${before} to ${after}, beyond ${most}`);
  }
}

/** A pool that is closed leaves no thread and no open file. */
async function returned(
  before: Look,
  file: string,
  collect: () => void,
  report: Report,
): Promise<void> {
  let after = await lookAt(file, collect);
  // Threads end by themselves when they have been told to.
  for (let i = 0; i < 100 && after.threads > before.threads; i++)
    after = await lookAt(file, collect);
  for (const what of ['threads', 'files'] as const) {
    report.count(`${what}, when closed`, after[what]);
    report.expect(
      after[what] <= before[what],
      () => `${what}: ${before[what]} before, ${after[what]} when all was closed`,
    );
  }
  report.expect(after.walMB === 0, () => `a WAL of ${after.walMB} MB was left`);
}
