import { copyFileSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import Database from 'better-sqlite3';
import { randomFrom } from '../support/random.ts';
import { checkWhole, storedIn, Writing } from './kill.ts';
import { Report, type Tries } from './report.ts';

/** https://sqlite.org/fileformat2.html#the_write_ahead_log */
const WAL_HEADER = 32;
const FRAME_HEADER = 24;
/** How many frames at the end of the WAL may be hit. */
const LAST_FRAMES = 60;
/** How many copies are spoiled of each state that is copied. */
const COPIES = 20;
/** How much is said before a copy is taken, in bytes. */
const LEAST_SAID = 500;
/** Nothing leaves the WAL: the database file of a copy fits to it, whichever was copied first. */
const NO_CHECKPOINTS = {
  checkpoint: { walPages: 2 ** 31 - 1, walLimit: Number.MAX_SAFE_INTEGER, interval: 0 },
};

type Row = [caller: string, number: number, part: number];

/**
 * The end of the WAL is torn off, or bits of it are flipped, in copies of a database that is written
 * to, and of one whose process was killed: what opens is all that was committed before the first frame
 * that was hit.
 */
export async function tornWal({ rounds, seed }: Tries): Promise<Report> {
  const report = new Report();
  const random = randomFrom(seed);
  for (let round = 0; round < rounds; round++) {
    const folder = mkdtempSync(join(tmpdir(), 'poolite-torn-'));
    const file = join(folder, 'torn.db');
    const synchronous = round % 2 === 0 ? 'full' : 'normal';
    try {
      const writing = new Writing(file, { synchronous, ...NO_CHECKPOINTS });
      await writing.hasSaid(LEAST_SAID);
      const before = writing.answered();
      const running = copy(file, join(folder, 'running.db'));
      await writing.hasSaid(LEAST_SAID * 3);
      await writing.kill();
      const killed = copy(file, join(folder, 'killed.db'));
      report.count('databases');
      holdsAnswered(copy(running, `${running}.copy`), before, report);
      holdsAnswered(copy(killed, `${killed}.copy`), writing.answered(), report);
      const all = rows(copy(killed, `${killed}.all`), report);
      for (const [state, original] of Object.entries({ running, killed })) {
        for (let i = 0; i < COPIES; i++) spoil(original, all, state, random, report);
      }
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  }
  report.fired('running: bits flipped', 'killed: bits flipped', 'running: torn', 'killed: torn');
  report.fired('copies that lost a commit');
  return report;
}

/** The database first: the WAL may grow meanwhile, and what a copy has of its end may be torn. */
function copy(from: string, to: string): string {
  copyFileSync(from, to);
  copyFileSync(`${from}-wal`, `${to}-wal`);
  rmSync(`${to}-shm`, { force: true });
  return to;
}

function holdsAnswered(file: string, answered: ReadonlyMap<string, number>, report: Report): void {
  const stored = storedIn(file, report);
  checkWhole(stored, report);
  for (const [caller, number] of answered) {
    const there = stored.get(caller)?.size ?? 0;
    report.expect(there >= number, () => `${caller}: of ${number} answered there are ${there}`);
    report.count('answered and found', number);
  }
}

function rows(file: string, report: Report): Row[] {
  const db = new Database(file);
  const integrity = db.pragma('integrity_check', { simple: true });
  report.expect(integrity === 'ok', () => `integrity: ${integrity}`);
  const made = db.prepare("SELECT 1 FROM sqlite_schema WHERE name = 'entry'").get() !== undefined;
  const all = made
    ? db.prepare('SELECT caller, number, part FROM entry ORDER BY id').raw().all()
    : [];
  db.close();
  return all as Row[];
}

function spoil(
  original: string,
  all: readonly Row[],
  state: string,
  random: () => number,
  report: Report,
): void {
  const spoiled = copy(original, `${original}.spoiled`);
  const wal = `${spoiled}-wal`;
  const size = statSync(wal).size;
  const bytes = readFileSync(wal);
  const frameSize = FRAME_HEADER + bytes.readUInt32BE(8);
  const frames = Math.floor((size - WAL_HEADER) / frameSize);
  const first = Math.max(0, frames - LAST_FRAMES);
  const at = WAL_HEADER + Math.floor((first + random() * (frames - first)) * frameSize);
  if (random() < 0.4) {
    report.count(`${state}: torn`);
    writeFileSync(wal, bytes.subarray(0, at));
  } else {
    report.count(`${state}: bits flipped`);
    for (let i = 1 + Math.floor(random() * 8); i > 0; i--) {
      // One is where the damage begins, the others are anywhere behind it.
      const place = i === 1 ? at : at + 1 + Math.floor(random() * (size - at - 1));
      bytes[place] = (bytes[place] as number) ^ (1 << Math.floor(random() * 8));
    }
    writeFileSync(wal, bytes);
  }
  const hit = Math.floor((at - WAL_HEADER) / frameSize);
  const found = rows(spoiled, report);
  // The same copy, cut off behind the last commit before the damage.
  const sound = copy(original, `${original}.sound`);
  const whole = readFileSync(`${sound}-wal`);
  let commits = hit;
  while (commits > 0 && !isCommit(whole, commits - 1, frameSize)) commits--;
  writeFileSync(`${sound}-wal`, whole.subarray(0, WAL_HEADER + commits * frameSize));
  const expected = rows(sound, report);
  const what = `${state}, frame ${hit} of ${frames} hit`;
  report.expect(
    isDeepStrictEqual(found, expected),
    () => `${what}: ${found.length} rows, and not the ${expected.length} of before`,
  );
  report.expect(
    isDeepStrictEqual(found, all.slice(0, found.length)),
    () => `${what}: its ${found.length} rows are not those that were written first`,
  );
  let lost = 0;
  for (let frame = hit; frame < frames; frame++) {
    if (isCommit(whole, frame, frameSize)) lost++;
  }
  report.count(lost > 0 ? 'copies that lost a commit' : 'copies that lost none');
  report.count('commits lost', lost);
}

/** Whether a frame ends a commit: it tells how large the database is then. */
function isCommit(wal: Buffer, frame: number, frameSize: number): boolean {
  return wal.readUInt32BE(WAL_HEADER + frame * frameSize + 4) > 0;
}
