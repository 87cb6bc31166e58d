import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { expect, test } from 'vitest';

const require = createRequire(import.meta.url);

test('the built package can be imported', async () => {
  const core = await import('@poolite/core');
  expect(core.createPool).toBeTypeOf('function');
});

test('the built package can be required', () => {
  const core = require('@poolite/core');
  expect(core.createPool).toBeTypeOf('function');
});

test('both builds export the same names', async () => {
  const imported = Object.keys(await import('@poolite/core'));
  const required = Object.keys(require('@poolite/core'));
  expect(imported.sort()).toEqual(required.filter((name) => name !== 'default').sort());
});

test('its types need no types that a user has not installed', () => {
  for (const file of ['index.d.ts', 'index.d.cts']) {
    const types = readFileSync(new URL(`../dist/${file}`, import.meta.url), 'utf8');
    expect(types).not.toMatch(/(?:from|import\() ?['"]better-sqlite3['"]/);
  }
});

/** An import is loaded before the first line runs, and each of these takes a thread milliseconds. */
test('a thread that starts loads nothing that only jobs need', () => {
  const program = readFileSync(new URL('../dist/thread.js', import.meta.url), 'utf8');
  const imported = [...program.matchAll(/^(?:import|\}) .*from "node:(.*)";$/gm)];
  const allowed = ['fs', 'module', 'os', 'path', 'url', 'worker_threads'];
  expect([...new Set(imported.map(([, name]) => name))].sort()).toEqual(allowed);
});
