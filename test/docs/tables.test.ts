import { readFileSync } from 'node:fs';
import { channels, createPool, Pool, PoolError } from '@poolite/core';
import { describe, expect, test } from 'vitest';
import { resolveOptions } from '../../packages/core/src/options.js';
import { FAULTS } from '../chaos/faults.ts';
import { root } from './blocks.ts';

const readme = read('packages/core/README.md');
const errors = read('docs/guides/errors.md');

function read(file: string): string {
  return readFileSync(new URL(file, root), 'utf8');
}

/** The cells of a page's table whose first heading is `name`. */
function table(name: string, page = readme): string[][] {
  const lines = page.split('\n');
  const start = lines.findIndex((line) => line.startsWith(`| ${name} |`));
  expect(start, `a table of ${name}s`).toBeGreaterThan(0);
  const end = lines.findIndex((line, at) => at > start && !line.startsWith('|'));
  return lines.slice(start + 2, end).map((line) => {
    const cells = line.split('|').slice(1, -1);
    return cells.map((cell) => cell.trim().replace(/^`(.*)`$/, '$1'));
  });
}

/** The names of a type's members, as its source has them. */
function members(file: string, start: string, member: RegExp): string[] {
  const text = read(file);
  const from = text.indexOf(start);
  expect(from, `${start} in ${file}`).toBeGreaterThanOrEqual(0);
  const end = text.indexOf('\n\n', from);
  return [...text.slice(from, end).matchAll(member)].map(([, name = '']) => name);
}

describe('the options', () => {
  const rows = table('option');
  const defaults = resolveOptions('app.db', {});
  const values: Record<string, unknown> = { ...defaults.connection, ...defaults };
  for (const [name, value] of Object.entries(defaults.connection.retry)) {
    values[`retry.${name}`] = value;
  }

  for (const [name, value] of Object.entries(defaults.checkpoint)) {
    values[`checkpoint.${name}`] = value;
  }
  for (const [name, value] of Object.entries(defaults.changes)) values[`changes.${name}`] = value;
  const { store } = resolveOptions('app.db', {
    driver: 'node:sqlite',
    store: { poolite: 'store', where: 'nowhere', replica: () => Promise.reject() },
  });
  Object.assign(values, { 'freshness.interval': store?.interval, retries: store?.retries });

  test('are all in the table, and no others', () => {
    let known: string[] = [];
    try {
      createPool('app.db', { unknown: true } as never);
    } catch (error) {
      known = String((error as Error).message.split('known: ')[1]).split(', ');
    }
    const named = new Set(rows.map(([name = '']) => name.split('.')[0]));
    expect([...named]).toEqual(known);
  });

  test.each(rows.map(([name = '', value = '']) => [name, value]))('%s: %s', (name, value) => {
    expect(values).toHaveProperty([name]);
    const actual = values[name];
    if (name === 'readers') {
      expect(value).toBe('cores - 1, at least 1, at most 4');
      expect(actual).toBeGreaterThanOrEqual(1);
      expect(actual).toBeLessThanOrEqual(4);
    } else if (value === 'none' || value === "the library's") {
      expect(actual === undefined || (Array.isArray(actual) && actual.length === 0)).toBe(true);
    } else {
      expect(typeof actual === 'string' ? `'${actual}'` : String(actual)).toBe(value);
    }
  });
});

test('every method of a pool has a place in the tour', () => {
  const members = Object.entries(Object.getOwnPropertyDescriptors(Pool.prototype));
  const isMethod = ([name, { value }]: (typeof members)[number]) =>
    name !== 'constructor' && typeof value === 'function';
  const methods = members.filter(isMethod).map(([name]) => name);
  const missing = methods.filter((name) => {
    const heading = new RegExp(`^### .*\`${name}\\(\\)\``, 'm');
    return !heading.test(readme) && !readme.includes(`\`pool.${name}(`);
  });
  expect(missing).toEqual([]);
});

test('every code of an error has a row, with what to do', () => {
  const codes = members('packages/core/src/errors.ts', 'export type PoolErrorCode', /\| '(\w+)'/g);
  const rows = table('code', errors);
  expect(rows.map(([code]) => code).sort()).toEqual(codes.sort());
  for (const [code, , advice = ''] of rows) expect(advice, code).not.toBe('');
});

test('the errors that may be tried again are those that say so', () => {
  const codes = table('code', errors).map(([code]) => code as PoolError['code']);
  const retryable = codes.filter((code) => new PoolError(code, '').retryable);
  expect(retryable.sort()).toEqual(['POOL_CONFLICT', 'POOL_THREAD_LOST', 'POOL_TIMEOUT']);
  const sentence =
    '`retryable` is true for POOL_TIMEOUT and POOL_THREAD_LOST, and for POOL_CONFLICT';
  expect(readme).toContain(sentence);
});

test('every event and every channel has a row', () => {
  const file = 'packages/core/src/observing/events.ts';
  const events = members(file, 'export interface PoolEvents', /^ {2}(\w+): \[/gm);
  expect(table('event').map(([event]) => event)).toEqual(events);
  const names = Object.values(channels).map(({ name }) => name);
  expect(table('channel').map(([channel]) => channel)).toEqual(names);
});

test('every fault has a row, with the rounds of its long form', () => {
  const rows = table('fault', read('CONTRIBUTING.md')).map(([name, , rounds]) => [name, rounds]);
  const faults = Object.entries(FAULTS).map(([name, { rounds }]) => [name, String(rounds)]);
  expect(rows).toEqual(faults);
});
