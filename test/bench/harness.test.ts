import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { comparing, endMembers } from './comparison.ts';
import { type Entry, LIBRARIES } from './contenders/registry.ts';
import { runScenario } from './harness.ts';
import { machine, read, save } from './results.ts';
import { tableOf } from './table.ts';

const module = new URL('./failing.ts', import.meta.url);
const failing = (name: string): Entry => ({ name, module });
const sound = LIBRARIES.filter(({ name }) => ['better-sqlite3', 'poolite'].includes(name));

afterAll(() => endMembers());

test('contenders are compared, and who fails or forgets has an error instead of a figure', async () => {
  const entries = [...sound, failing('forgets'), failing('refuses')];
  const scenario = comparing({
    ...{ name: 'one-shot inserts, 8 callers, synchronous normal', unit: 'calls/s', ms: 30 },
    ...{ work: 'insert', callers: 8, entries },
  });
  const lines = await runScenario({ ...scenario, rounds: 1 });
  expect(lines.map(({ contender, rounds }) => [contender, rounds])).toEqual([
    ['better-sqlite3', 1],
    ['poolite', 1],
    ['forgets', 0],
    ['refuses', 0],
  ]);
  const [baseline, pool, forgets, refuses] = lines;
  expect(baseline).toMatchObject({ ratio: 1, unit: 'calls/s', better: 'more' });
  expect(pool?.median).toBeGreaterThan(0);
  expect(pool?.ratio).toBeGreaterThan(0);
  expect(pool).not.toHaveProperty('error');
  expect(forgets).toMatchObject({
    median: null,
    ratio: null,
    error: expect.stringMatching(/^\d+ rows are stored, \d+ were acknowledged$/),
  });
  expect(refuses).toMatchObject({
    median: null,
    ratio: null,
    error: expect.stringContaining('calls failed: SQLITE_ERROR: no such table: absent'),
  });

  const folder = mkdtempSync(join(tmpdir(), 'poolite-bench-'));
  try {
    const file = join(folder, 'results.json');
    const runs = [{ scenario: scenario.name, at: new Date().toISOString(), load: 1 }];
    save(file, { machine: machine(), runs, lines });
    // What was not run again stays.
    save(file, { machine: machine(), runs: [], lines: [] });
    expect(read(file)).toMatchObject({ runs, lines });
    const table = tableOf(read(file));
    expect(table).toContain('| better-sqlite3 | **1.00x** ');
    expect(table).toContain('| forgets | **FAILED** (1) |');
    expect(table).toContain(`2. refuses, 8 callers: ${refuses?.error}`);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
