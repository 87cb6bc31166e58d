import { spawn } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import Database from 'better-sqlite3';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { randomFrom } from '../support/random.ts';

/** Set CRASH_ROUNDS for more, and CRASH_SEED to repeat the moments of a run. */
const ROUNDS = Number(process.env.CRASH_ROUNDS ?? 50);
const SEED = Number(process.env.CRASH_SEED ?? randomInt(2 ** 31));
const LONGEST_LIFE = 60;

const child = fileURLToPath(new URL('./child.ts', import.meta.url));
let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'poolite-crash-'));
});

afterEach(() => rmSync(folder, { recursive: true, force: true }));

/** What each caller writes at a time, and how many of them it has under way. */
const PARTS: Record<string, number> = { single: 1, many: 1, batch: 3, transaction: 3, bulk: 100 };
const MANY = 30;

/**
 * Lets the child write, kills it `life` ms after its first answer, or after its start where it may
 * still be opening the file; the last number it answered, by caller.
 */
async function killed(file: string, synchronous: string, life: number, opening: boolean) {
  const args = ['--experimental-strip-types', '--no-warnings', child, file, synchronous];
  // To a file, which is never full: a pipe is, where this process comes too late to read from it.
  const output = `${file}.said`;
  const fd = openSync(output, 'w');
  const process_ = spawn(process.execPath, args, { stdio: ['ignore', fd, 'pipe'] });
  closeSync(fd);
  let complaint = '';
  process_.stderr?.on('data', (data) => {
    complaint += data;
  });
  const closed = once(process_, 'close');
  const hasSaid = () => opening || statSync(output).size > 0 || process_.exitCode !== null;
  while (!hasSaid()) await new Promise((resolve) => setTimeout(resolve, 2));
  setTimeout(() => process_.kill('SIGKILL'), life);
  const [, signal] = await closed;
  expect(signal, complaint).toBe('SIGKILL');
  const said = readFileSync(output, 'utf8');
  const answered = new Map<string, number>();
  // The last line may have been cut off: it was not said.
  for (const line of said.split('\n').slice(0, -1)) {
    const [caller = '', number] = line.split(' ');
    expect(Number(number)).toBe((answered.get(caller) ?? Number(number) - 1) + 1);
    answered.set(caller, Number(number));
  }
  return answered;
}

/** What is stored by caller: its numbers in the order of their rows, and the parts of each. */
function stored(file: string) {
  const db = new Database(file);
  expect(db.pragma('integrity_check', { simple: true })).toBe('ok');
  const made = db.prepare("SELECT 1 FROM sqlite_schema WHERE name = 'entry'").get() !== undefined;
  const rows = made
    ? db.prepare('SELECT caller, number, part FROM entry ORDER BY id').raw().all()
    : [];
  db.close();
  const callers = new Map<string, Map<number, number[]>>();
  for (const [caller, number, part] of rows as [string, number, number][]) {
    const numbers = callers.get(caller) ?? new Map<number, number[]>();
    callers.set(caller, numbers);
    numbers.set(number, [...(numbers.get(number) ?? []), part]);
  }
  return callers;
}

describe.each(['full', 'normal'])(
  'a process that is killed while it writes, synchronous %s',
  { retry: 0 },
  (mode) => {
    it(
      'has stored all that was answered, once, in order, and nothing by half',
      async () => {
        const file = join(folder, 'crash.db');
        const random = randomFrom(SEED);
        const rounds = Math.ceil(ROUNDS / 2);
        let answers = 0;
        let unanswered = 0;
        let atWork = 0;
        let before = new Map<string, Map<number, number[]>>();
        for (let round = 0; round < rounds; round++) {
          const opening = random() < 0.1;
          const answered = await killed(file, mode, 1 + random() * LONGEST_LIFE, opening);
          if (answered.size > 0) atWork++;
          const after = stored(file);
          for (const [caller, numbers] of after) {
            const all = [...numbers.keys()];
            // In order and without a gap: each was awaited before the next.
            expect(all).toEqual(Array.from(all, (_, i) => i + 1));
            const kind = caller.split('-')[0] as string;
            const whole = Array.from({ length: PARTS[kind] as number }, (_, i) => i + 1);
            for (const parts of numbers.values()) expect(parts).toEqual(whole);
            const known = answered.get(caller) ?? before.get(caller)?.size ?? 0;
            expect(all.length).toBeGreaterThanOrEqual(known);
            // No more than were under way.
            expect(all.length).toBeLessThanOrEqual(known + (kind === 'many' ? MANY : 1));
            unanswered += all.length - known;
          }
          for (const [caller, number] of answered) {
            expect(after.get(caller)?.has(number), `${caller} ${number}, seed ${SEED}`).toBe(true);
            answers += number - (before.get(caller)?.size ?? 0);
          }
          before = after;
        }
        console.log(
          `crash, ${mode}: ${rounds} kills, ${atWork} of them at work, ${answers} writes answered and stored, ${unanswered} ` +
            `stored whose answer was cut off; seed ${SEED}`,
        );
        expect(answers).toBeGreaterThan(rounds);
        expect(atWork).toBeGreaterThan(rounds / 2);
      },
      120_000 + ROUNDS * 4_000,
    );
  },
);
