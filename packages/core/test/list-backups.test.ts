import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { listBackups } from '@poolite/core';
import { expect, test } from 'vitest';
import { freshFile, freshFolder, openPool, outcome } from './support/folder.ts';

test('without a pool the same backups are listed, oldest last', async () => {
  const file = freshFile();
  const directory = join(dirname(file), 'backups');
  const pool = openPool(file, { backups: { directory } });
  await pool.exec('CREATE TABLE t (id)');
  await (await pool.backups.requestBackup()).done;
  await (await pool.backups.requestBackup()).done;
  const known = await pool.backups.list();
  await pool.close();
  const withoutAge = ({ age: _, ...rest }: (typeof known)[number]) => rest;
  const listed = await listBackups(directory);
  expect(listed.map(withoutAge)).toEqual(known.map(withoutAge));
  expect(listed.length).toBeGreaterThanOrEqual(2);
  expect(listed[0]?.age).toBeLessThanOrEqual(listed[1]?.age ?? 0);
  const checked = await listBackups(directory, { verify: 'full' });
  expect(checked.map(({ verdict, verified }) => [verdict, verified])).toEqual(
    listed.map(() => ['ok', 'full']),
  );
});

test('a folder that is not there, or is empty, has none', async () => {
  const folder = freshFolder();
  expect(await listBackups(join(folder, 'missing'))).toEqual([]);
  mkdirSync(join(folder, 'empty'));
  expect(await listBackups(join(folder, 'empty'))).toEqual([]);
});

test('what is no folder, an unknown option and an aborted signal are refused', async () => {
  const folder = freshFolder();
  writeFileSync(join(folder, 'file'), '');
  expect(await outcome(listBackups(join(folder, 'file')))).toBe('POOL_BACKUP');
  expect(await outcome(listBackups(''))).toBe('POOL_OPTIONS');
  expect(await outcome(listBackups(folder, { verify: 'some' } as never))).toBe('POOL_OPTIONS');
  expect(await outcome(listBackups(folder, { signal: AbortSignal.abort() }))).toBe('POOL_ABORTED');
});
