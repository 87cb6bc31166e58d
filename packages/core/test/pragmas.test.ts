import { expect, test } from 'vitest';
import { freshFile, openPool, outcome } from './support/folder.ts';

test.each([
  ['page_size', 8192, 8192],
  ['auto_vacuum', 'incremental', 2],
  ['user_version', 7, 7],
  ['application_id', 7, 7],
])('the pragma %s of the options is set in the file, and read by all', async (name, value, is) => {
  const file = freshFile();
  for (const inlineReads of ['auto', 'off'] as const) {
    const pool = openPool(file, { readers: 2, inlineReads, pragmas: { [name]: value } });
    await pool.exec('CREATE TABLE IF NOT EXISTS t (a); INSERT INTO t VALUES (1)');
    const ask = () => pool.get(`PRAGMA ${name}`);
    const seen = await pool.snapshot((tx) => tx.get(`PRAGMA ${name}`));
    expect([seen, ...(await Promise.all([ask(), ask(), ask()]))]).toEqual(
      Array.from({ length: 4 }, () => ({ [name]: is })),
    );
    expect(await pool.all('SELECT DISTINCT a FROM t')).toEqual([{ a: 1 }]);
    expect((await pool.backup(`${file}.${inlineReads}`)).verdict).toBe('ok');
    await pool.close();
  }
});

test('a pragma that writes the file is refused by a pool that only reads', async () => {
  const file = freshFile();
  const writer = openPool(file);
  await writer.exec('CREATE TABLE t (a)');
  await writer.close();
  const pool = openPool(file, { readonly: true, pragmas: { user_version: 7 } });
  expect(await outcome(pool.get('SELECT 1'))).toBe('SQLITE_READONLY');
});
