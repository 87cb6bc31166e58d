import { expect, test } from 'vitest';
import { freshFile, openPool, outcome } from './support/folder.ts';
import { inline } from './support/inline.ts';
import { EVERY_WAY, WAYS } from './support/ways.ts';

// It is wrong where the table has no column of that name, which then is that of the result.
const COUNTED = `SELECT quote(count(*) OVER ()) AS "n" FROM t WHERE CASE WHEN "n" THEN 1 END IS NULL`;

test.each(EVERY_WAY.filter((way) => way !== 'the calling thread'))(
  'a statement is prepared by the schema as it is, however it is wrong by that of before: %s',
  async (way) => {
    const pool = openPool(freshFile(), { readers: 1 });
    await pool.exec('CREATE TABLE t (a)');
    // Every connection knows the table.
    for (const each of EVERY_WAY) await WAYS[each](pool, 'SELECT * FROM t');
    expect(await outcome(WAYS[way](pool, COUNTED))).toBe('SQLITE_ERROR');
    await pool.exec('DROP TABLE t; CREATE TABLE t (n)');
    expect(await WAYS[way](pool, COUNTED)).toEqual([]);
  },
);

test('so it is on the calling thread', async () => {
  const pool = openPool(freshFile(), { readers: 1 });
  await pool.exec('CREATE TABLE t (a)');
  await inline(() => pool.all('SELECT * FROM t'), pool);
  await pool.exec('DROP TABLE t; CREATE TABLE t (n)');
  expect(await inline(() => pool.all(COUNTED), pool)).toEqual([]);
});
