import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { BenchReport } from '../src/commands/bench.ts';
import { json, poolite, Running } from './support/cli.ts';
import { freshFolder } from './support/files.ts';

test('compares both sides, and removes its files', async () => {
  const folder = freshFolder();
  const args = ['bench', '--folder', folder, '--rounds', '1', '--time', '40'];
  const ended = await poolite([...args, '--json']);
  expect(ended.code).toBe(0);
  const { machine, rounds, results } = json<BenchReport>(ended);
  expect([machine.node, rounds]).toEqual([process.version, 1]);
  expect(results.map(({ work }) => work)).toEqual([
    'durable inserts, one caller',
    'durable inserts, 64 callers',
    'reads by key, 64 callers',
    'the event loop stands still during a slow query',
  ]);
  for (const { contenders } of results) {
    expect(contenders.map(({ name }) => name)).toEqual(['better-sqlite3', 'pool']);
    expect(contenders[0]?.ratio).toBe(1);
    for (const { median, low, high } of contenders) {
      expect(median).toBeGreaterThan(0);
      expect([low, high]).toEqual([median, median]);
    }
  }
  expect(readdirSync(folder)).toEqual([]);
});

test('Ctrl-C ends it, and leaves nothing', async () => {
  const folder = freshFolder();
  const running = new Running(['bench', '--folder', folder, '--time', '1000'], {});
  await expect.poll(() => readdirSync(folder)).toHaveLength(1);
  running.child.kill('SIGINT');
  const { code, stderr } = await running.ended;
  expect(code).toBe(130);
  expect(stderr).toContain('poolite: ended by SIGINT; nothing was left half done');
  expect(readdirSync(folder)).toEqual([]);
});

test('a folder that is not there is told', async () => {
  const missing = join(freshFolder(), 'missing');
  const { code, stderr } = await poolite(['bench', '--folder', missing]);
  expect(code).toBe(1);
  expect(stderr).toContain(`no folder can be made in ${missing}`);
});
