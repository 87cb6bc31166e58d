import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import fc from 'fast-check';
import { commands } from './model/commands.ts';
import { MAKE_ENTRIES, type Model, System } from './model/system.ts';
import { Report, type Tries } from './report.ts';

/** How many commands a run has at most. */
const MOST_COMMANDS = 60;

/** How long one plan may take, in ms, and how long each does at most where the machine is busy with others. */
const HANGING = 600_000;
const LONGEST = 30_000;

const ABORTED = 'write, given up: POOL_ABORTED';

/**
 * Any mix of calls, of which some are refused, throw, are given up, come too late or kill their thread, and
 * of closing and opening again: every call is answered, what is answered is true, and what is read is whole.
 */
export async function model({ rounds, seed }: Tries): Promise<Report> {
  const report = new Report();
  const property = fc.asyncProperty(commands(MOST_COMMANDS), (plan) => run(plan, report));
  // What hangs is told, and what shrinking has found by then.
  const limits = { timeout: HANGING, interruptAfterTimeLimit: rounds * LONGEST };
  const details = await fc.check(property, { seed, numRuns: rounds, ...limits });
  report.count('plans', details.numRuns);
  report.expect(!details.failed, () => fc.defaultReportMessage(details) ?? '');
  report.fired('write, well: stored', 'harm done');
  // Few plans need not have everything in them.
  if (rounds >= 100) {
    report.fired('settled', 'read, well: stored', 'opened again', 'closed by force');
    report.fired('threads that died', ABORTED);
  }
  return report;
}

async function run(plan: Iterable<fc.AsyncCommand<Model, System>>, report: Report): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'poolite-model-'));
  const file = join(folder, 'model.db');
  const db = new Database(file);
  db.exec(MAKE_ENTRIES);
  db.close();
  const system = new System(file, report);
  const expected: Model = { isOpen: true, harm: false, entries: new Map() };
  try {
    await fc.asyncModelRun(() => ({ model: expected, real: system }), plan);
    await system.settle(expected);
  } finally {
    await system.end();
    rmSync(folder, { recursive: true, force: true });
  }
}
