import { expect, test } from 'vitest';
import { freshFile, openPool, outcome } from '../support/folder.ts';
import { member } from './member.ts';
import { TABLE, until } from './pair.ts';

test('with exactlyOnce a write outlives the process that had it', async () => {
  const file = freshFile();
  const first = await member(file);
  await first.ask(`pool.exec('${TABLE}')`);
  const client = openPool(file, { writer: 'shared', readers: 1, exactlyOnce: true });
  await client.ready();
  let n = 0;
  let going = true;
  const callers = Array.from({ length: 8 }, async () => {
    while (going) {
      const v = n++;
      // With its rows, which are remembered too.
      const rows = await client.all('INSERT INTO t (v) VALUES (?) RETURNING v', [v]);
      expect(rows).toEqual([{ v }]);
    }
  });
  await until(() => n > 100);
  first.process.kill('SIGKILL');
  await until(() => client.stats().writer.role === 'writer');
  const then = n;
  await until(() => n > then + 100);
  going = false;
  await Promise.all(callers);
  expect(await client.get('SELECT count(*) AS n FROM t')).toEqual({ n });
  // What was answered is forgotten.
  await client.run('INSERT INTO t (v) VALUES (?)', ['last']);
  const [[kept]] = (await client.values('SELECT count(*) FROM poolite_ledger')) as [[number]];
  expect(kept).toBeLessThan(20);
});

test('with exactlyOnce, a first write that SQLite undoes with its transaction leaves the second alone', async () => {
  const file = freshFile();
  const pool = openPool(file, { writer: 'shared', readers: 1, exactlyOnce: true });
  await pool.exec('CREATE TABLE u (v PRIMARY KEY); INSERT INTO u VALUES (1)');
  const undone = pool.run('INSERT OR ROLLBACK INTO u VALUES (1)');
  expect(await outcome(undone)).toBe('SQLITE_CONSTRAINT_PRIMARYKEY');
  expect(await outcome(pool.run('INSERT INTO u VALUES (2)'))).toBe('resolved');
  expect(await pool.values('SELECT v FROM u')).toEqual([[1], [2]]);
});
