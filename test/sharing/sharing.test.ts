import { randomInt } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { chaos } from './chaos.ts';
import { crowd } from './crowd.ts';

const SEED = Number(process.env.CHAOS_SEED ?? randomInt(2 ** 31));

/** `pnpm test:chaos` does so 200 times. */
test.runIf(process.platform !== 'win32')(
  'processes that share a writer are killed, stopped and ended, and nothing is lost',
  async () => {
    console.log(`the seed of the chaos is ${SEED}`);
    const report = await chaos({ rounds: 10, members: 3, seed: SEED });
    console.log(JSON.stringify(report));
    expect(report.wrong).toEqual([]);
    expect(report.rounds).toBe(10);
    expect(report.acknowledged).toBeGreaterThan(0);
  },
);

test('eight processes write at once: none is starved, and what is acknowledged is stored', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'poolite-crowd-'));
  try {
    const report = await crowd(join(folder, 'crowd.db'), {
      ...{ processes: 8, callers: 16, ms: 1500, how: 'shared' },
    });
    console.log(JSON.stringify(report));
    expect(report.errors).toEqual({});
    expect(report.stored).toBe(report.acknowledged);
    // The bench asks for more, of a machine that does nothing else.
    expect(report.evenness).toBeGreaterThan(0.2);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
