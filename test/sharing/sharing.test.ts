import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { crowd } from './crowd.ts';

test('eight processes write at once: none is starved, and what is acknowledged is stored', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'poolite-crowd-'));
  try {
    const report = await crowd(join(folder, 'crowd.db'), {
      ...{ processes: 8, callers: 16, ms: 1000, how: 'shared', warmUp: 500 },
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
