import { sql } from 'kysely';
import { expect, test } from 'vitest';
import { account, count, freshAccounts, outcome } from './support/db.ts';

const fresh = freshAccounts({ acquireTimeout: 0, transactionTimeout: 0, readers: 1 });

test('a stream gives every row once, whatever its chunk size', async () => {
  const { db } = await fresh(23);
  for (const size of [1, 5, 23, 1000]) {
    const ids: number[] = [];
    for await (const { id } of db.selectFrom('account').select('id').orderBy('id').stream(size)) {
      ids.push(id);
    }
    expect(ids).toEqual(Array.from({ length: 23 }, (_, i) => i + 1));
  }
});

test('a write during a stream works, and the stream sees one state', async () => {
  const { db } = await fresh(20);
  let seen = 0;
  for await (const { id } of db.selectFrom('account').select('id').stream(2)) {
    seen++;
    await db
      .insertInto('account')
      .values(account(`beside ${id}`))
      .execute();
  }
  expect(seen).toBe(20);
  expect(await count(db)).toBe(40);
});

test('a stream that is left early frees its connection, many times over', async () => {
  const { db, pool } = await fresh(20);
  for (let i = 0; i < 30; i++) {
    for await (const _ of db.selectFrom('account').selectAll().stream(1)) break;
  }
  // A reader that is in the middle of something keeps the WAL from being emptied.
  expect(await pool.checkpoint('TRUNCATE')).toMatchObject({ busy: 0, log: 0 });
  expect(await count(db)).toBe(20);
});

test('rows of a write with RETURNING can be streamed', async () => {
  const { db } = await fresh(5);
  const ids: number[] = [];
  for await (const row of db.updateTable('account').set({ cents: 1 }).returning('id').stream()) {
    ids.push(row.id);
  }
  expect(ids.sort((a, b) => a - b)).toEqual([1, 2, 3, 4, 5]);
});

test('a stream inside a transaction sees what that wrote', async () => {
  const { db } = await fresh(3);
  const names = await db.transaction().execute(async (trx) => {
    await trx.insertInto('account').values(account('new')).execute();
    const found: string[] = [];
    for await (const { name } of trx.selectFrom('account').select('name').stream(2)) {
      found.push(name);
    }
    return found;
  });
  expect(names).toContain('new');
});

test('an error in a stream is its own, and leaves nothing held', async () => {
  const { db } = await fresh(3);
  const read = async () => {
    for await (const _ of db
      .selectFrom('missing' as 'account')
      .selectAll()
      .stream())
      break;
  };
  expect(await outcome(read())).toBe('SQLITE_ERROR');
  expect(await count(db)).toBe(3);
});

test('an aborted query is waited for no longer, and runs to its end', async () => {
  const { db } = await fresh(3);
  const slow = sql`WITH RECURSIVE c (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 3000000)
    SELECT max(n) FROM c`;
  const given = new AbortController();
  const running = slow.execute(db, { signal: given.signal });
  setImmediate(() => given.abort(new Error('enough')));
  expect(await outcome(running)).toBe('Error: enough');
  expect(await count(db)).toBe(3);
});

test('to kill a session is refused', async () => {
  const { db } = await fresh(0);
  const { signal } = new AbortController();
  const options = { signal, inflightQueryAbortStrategy: 'kill session' as const };
  const query = sql`SELECT 1`.execute(db, options);
  await expect(query).rejects.toThrow(/doesn't support `inflightQueryAbortStrategy`/);
});

test('a stream that is aborted frees its connection', async () => {
  const { db, pool } = await fresh(20);
  const given = new AbortController();
  const read = async () => {
    const stream = db
      .selectFrom('account')
      .selectAll()
      .stream({ signal: given.signal, chunkSize: 1 });
    for await (const _ of stream) given.abort(new Error('enough'));
  };
  expect(await outcome(read())).toBe('Error: enough');
  expect(await count(db)).toBe(20);
  expect(await pool.checkpoint('TRUNCATE')).toMatchObject({ busy: 0, log: 0 });
});
