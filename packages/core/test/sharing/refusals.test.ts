import { chmodSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { createPool } from '@poolite/core';
import { expect, test } from 'vitest';
import { failure, freshFile, freshFolder, openPool, outcome } from '../support/folder.ts';
import { pair } from './pair.ts';

test.each([
  ['integers', { integers: 'bigint' }],
  ['foreignKeys', { foreignKeys: false }],
] as const)('processes must agree on %s, and are told so', async (name, options) => {
  const { file } = await pair();
  const other = openPool(file, { writer: 'shared', ...options });
  const error = await failure(other.ready());
  expect(error).toMatchObject({ code: 'POOL_OPTIONS' });
  expect(error.message).toContain(`option '${name}'`);
  expect(await outcome(other.run('SELECT 1'))).toBe('POOL_OPTIONS');
});

test.each([
  [':memory:', {}, 'contradicts a database in memory'],
  ['file:app.db', {}, 'not a URI'],
  ['app.db', { readonly: true }, "contradicts 'readonly'"],
  ['app.db', { writer: 'mine' }, "'own', 'shared' or { socketPath }"],
  ['app.db', { writer: {} }, "'own', 'shared' or { socketPath }"],
  ['app.db', { writer: { socketPath: 5 } }, "option 'writer.socketPath'"],
])('%s with %o is refused', (file, options, message) => {
  expect(() => createPool(file, { writer: 'shared', ...options } as never)).toThrow(message);
});

test('a folder that is missing is told as ever', async () => {
  const file = join(freshFolder(), 'missing', 'app.db');
  const error = await failure(openPool(file, { writer: 'shared' }).ready());
  expect(error.code).toBe('SQLITE_CANTOPEN');
  expect(error.message).toContain('create it first');
});

test.runIf(process.platform !== 'win32')('a folder that others may enter is refused', async () => {
  const file = freshFile();
  mkdirSync(`${file}-writer`);
  chmodSync(`${file}-writer`, 0o755);
  const error = await failure(openPool(file, { writer: 'shared' }).ready());
  expect(error.message).toContain('others may enter the folder');
});
