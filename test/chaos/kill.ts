import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import Database from 'better-sqlite3';
import { randomFrom } from '../support/random.ts';
import { MANY, PARTS } from './entries.ts';
import { Report, type Tries } from './report.ts';

const LONGEST_LIFE = 60;

const program = fileURLToPath(new URL('./killed.ts', import.meta.url));

/** What is stored: the parts of each number by caller, the numbers in the order of their rows. */
export type Stored = Map<string, Map<number, number[]>>;

/** A process that writes, and says what was answered. */
export class Writing {
  readonly #process;
  readonly #closed: Promise<unknown[]>;
  readonly #output: string;
  #complaint = '';

  constructor(file: string, options: object) {
    const args = ['--experimental-strip-types', '--no-warnings', program, file];
    // To a file, which is never full: a pipe is, where this process comes too late to read from it.
    this.#output = `${file}.said`;
    const fd = openSync(this.#output, 'w');
    this.#process = spawn(process.execPath, [...args, JSON.stringify(options)], {
      stdio: ['pipe', fd, 'pipe'],
    });
    closeSync(fd);
    this.#process.stderr?.on('data', (data) => {
      this.#complaint += data;
    });
    this.#closed = once(this.#process, 'close');
  }

  /** Until it has said so many bytes. */
  async hasSaid(bytes = 1): Promise<void> {
    while (statSync(this.#output).size < bytes) {
      const { exitCode } = this.#process;
      if (exitCode !== null) throw new Error(`it ended with ${exitCode}: ${this.#complaint}`);
      await delay(2);
    }
  }

  /** The last number that was answered, by caller; up to now. */
  answered(): Map<string, number> {
    const answered = new Map<string, number>();
    // The last line may have been cut off: it was not said.
    for (const line of readFileSync(this.#output, 'utf8').split('\n').slice(0, -1)) {
      const [caller = '', text] = line.split(' ');
      const number = Number(text);
      const last = answered.get(caller) ?? number - 1;
      if (number !== last + 1) throw new Error(`${caller}: ${number} was answered after ${last}`);
      answered.set(caller, number);
    }
    return answered;
  }

  async kill(): Promise<void> {
    this.#process.kill('SIGKILL');
    const [code, signal] = await this.#closed;
    if (signal !== 'SIGKILL') throw new Error(`it ended with ${code}: ${this.#complaint}`);
  }
}

/** What is in a file by caller, as SQLite finds it when it opens it. */
export function storedIn(file: string, report: Report): Stored {
  const db = new Database(file);
  const integrity = db.pragma('integrity_check', { simple: true });
  report.expect(integrity === 'ok', () => `integrity: ${integrity}`);
  const made = db.prepare("SELECT 1 FROM sqlite_schema WHERE name = 'entry'").get() !== undefined;
  const rows = made
    ? db.prepare('SELECT caller, number, part FROM entry ORDER BY id').raw().all()
    : [];
  db.close();
  const callers: Stored = new Map();
  for (const [caller, number, part] of rows as [string, number, number][]) {
    const numbers = callers.get(caller) ?? new Map<number, number[]>();
    callers.set(caller, numbers);
    const parts = numbers.get(number) ?? [];
    numbers.set(number, parts);
    parts.push(part);
  }
  return callers;
}

/** Each number once, in order and without a gap, and nothing by half. */
export function checkWhole(stored: Stored, report: Report): void {
  for (const [caller, numbers] of stored) {
    const whole = PARTS[caller.split('-')[0] as string] as number;
    let last = 0;
    for (const [number, parts] of numbers) {
      report.expect(number === ++last, () => `${caller}: ${number} in the place of ${last}`);
      report.expect(
        parts.length === whole && parts.every((part, i) => part === i + 1),
        () => `${caller} ${number}: of ${whole} parts there are ${parts}`,
      );
    }
  }
}

/**
 * A process that is killed while it writes, again and again on the same file, has stored all that
 * was answered: once, in order, and nothing by half.
 */
export async function kill(
  synchronous: 'normal' | 'full',
  { rounds, seed }: Tries,
): Promise<Report> {
  const report = new Report();
  const random = randomFrom(seed);
  const folder = mkdtempSync(join(tmpdir(), 'poolite-kill-'));
  const file = join(folder, 'kill.db');
  let before: Stored = new Map();
  try {
    for (let round = 0; round < rounds; round++) {
      const writing = new Writing(file, { synchronous });
      // So long after its first answer, or after its start, when it may still be opening the file.
      if (random() >= 0.1) await writing.hasSaid();
      await delay(1 + random() * LONGEST_LIFE);
      await writing.kill();
      report.count('kills');
      const answered = writing.answered();
      if (answered.size > 0) report.count('kills at work');
      const after = storedIn(file, report);
      checkWhole(after, report);
      compare(before, answered, after, report);
      before = after;
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
  const { kills = 0, 'kills at work': atWork = 0, answered = 0 } = report.counts;
  report.expect(atWork > kills / 2, () => `only ${atWork} of ${kills} kills met a write`);
  report.expect(answered > kills, () => `only ${answered} writes were answered`);
  return report;
}

function compare(
  before: Stored,
  answered: ReadonlyMap<string, number>,
  after: Stored,
  report: Report,
): void {
  for (const caller of new Set([...after.keys(), ...answered.keys()])) {
    const old = before.get(caller)?.size ?? 0;
    const known = answered.get(caller) ?? old;
    const there = after.get(caller)?.size ?? 0;
    report.count('answered', known - old);
    report.expect(there >= known, () => `${caller}: ${known} were answered, ${there} are stored`);
    const underWay = caller.startsWith('many') ? MANY : 1;
    report.expect(there <= known + underWay, () => `${caller}: ${there} are stored of ${known}`);
    if (there > known) report.count('stored, the answer cut off', there - known);
  }
}
