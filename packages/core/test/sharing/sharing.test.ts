import { statSync } from 'node:fs';
import type { Pool } from '@poolite/core';
import Database from 'better-sqlite3';
import { expect, test } from 'vitest';
import { failure, outcome } from '../support/folder.ts';
import { pair, TABLE, until } from './pair.ts';

test('the first pool writes, and the next sends it its writes', async () => {
  const { file, writer, client } = await pair();
  expect(writer.stats().writer).toEqual({
    ...{ role: 'writer', pid: process.pid, clients: 1, takeovers: 0 },
  });
  expect(client.stats().writer).toEqual({
    ...{ role: 'client', pid: process.pid, clients: 0, takeovers: 0 },
  });
  await client.exec(TABLE);
  expect(await client.run('INSERT INTO t (v) VALUES (?)', ['a'])).toEqual({
    ...{ changes: 1, lastInsertRowid: 1 },
  });
  expect(await writer.all('SELECT * FROM t')).toEqual([{ id: 1, v: 'a' }]);
  if (process.platform === 'win32') return;
  expect(statSync(`${file}-writer`).mode & 0o777).toBe(0o700);
  expect(statSync(`${file}-writer/socket`).isSocket()).toBe(true);
});

test('every kind of write goes to the other process, and comes back as it would at home', async () => {
  const { client } = await pair();
  await client.exec(TABLE);
  expect(
    await client.batch([
      { sql: 'INSERT INTO t (v) VALUES (?) RETURNING id, v', params: ['x'] },
      { sql: 'SELECT count(*) FROM t', rows: 'array' },
    ]),
  ).toEqual([
    { rows: [{ id: 1, v: 'x' }], changes: 1, lastInsertRowid: 1 },
    { rows: [[1]], changes: 0, lastInsertRowid: 0 },
  ]);
  const sets = Array.from({ length: 5000 }, (_, i) => [`many ${i}`]);
  expect(await client.runMany('INSERT INTO t (v) VALUES (?)', sets)).toEqual({ changes: 5000 });
  expect(await client.all("UPDATE t SET v = 'y' WHERE v = 'x' RETURNING v")).toEqual([{ v: 'y' }]);
  await client.transaction(async (tx) => {
    await tx.run('INSERT INTO t (v) VALUES (:v)', { v: 'in' });
    await tx
      .savepoint(async (inner) => {
        await inner.run("DELETE FROM t WHERE v = 'in'");
        throw new Error('undo');
      })
      .catch(() => {});
    expect(await tx.get("SELECT v FROM t WHERE v = 'in'")).toEqual({ v: 'in' });
    const rows: unknown[] = [];
    for await (const row of tx.iterate('SELECT v FROM t', [], { chunkSize: 1000 })) rows.push(row);
    expect(rows).toHaveLength(5002);
    expect(await tx.all('SELECT v FROM t')).toHaveLength(5002);
  });
  await client.run('VACUUM');
  expect((await client.checkpoint('TRUNCATE')).busy).toBe(0);
  const lease = await client.lease('write');
  await lease.run('CREATE TEMP TABLE mine (a)');
  await lease.run('BEGIN');
  expect(await lease.run('INSERT INTO mine VALUES (1)')).toMatchObject({ changes: 1 });
  expect(lease.inTransaction).toBe(true);
  await lease.run('ROLLBACK');
  expect(await lease.all('SELECT * FROM mine')).toEqual([]);
  await lease.release();
});

test('values cross as they are', async () => {
  const { client } = await pair({ integers: 'auto' });
  await client.exec('CREATE TABLE v (a, b, c, d, e, f)');
  const values = [
    null,
    2n ** 62n,
    -0.5,
    'ünï\u{1f600}',
    Buffer.from([0, 255]),
    Number.MIN_SAFE_INTEGER,
  ];
  await client.run('INSERT INTO v VALUES (?, ?, ?, ?, ?, ?)', values as never);
  const [row] = await client.values('INSERT INTO v SELECT * FROM v RETURNING *');
  expect(row).toEqual(values);
  const large = 'x'.repeat(3_000_000);
  const blob = Buffer.alloc(3_000_000, 7);
  await client.run('INSERT INTO v (a, b) VALUES (?, ?)', [large, blob]);
  await client.transaction(async (tx) => {
    const got = await tx.get<{ a: string; b: Buffer }>('SELECT a, b FROM v WHERE length(a) > 9');
    expect(got?.a === large && got.b.equals(blob)).toBe(true);
  });
});

test('errors are those of SQLite, with the lines of the caller', async () => {
  const { client } = await pair();
  await client.exec(TABLE);
  await client.run("INSERT INTO t (v) VALUES ('a')");
  const error = await failure(client.run("INSERT INTO t (v) VALUES ('a')"));
  expect(error).toBeInstanceOf(Database.SqliteError);
  expect(error.code).toBe('SQLITE_CONSTRAINT_UNIQUE');
  expect(error.stack).toContain('sharing.test.ts');
  const inTransaction = client.transaction((tx) => tx.run("INSERT INTO t (v) VALUES ('a')"));
  expect(await outcome(inTransaction)).toBe('SQLITE_CONSTRAINT_UNIQUE');
  const batch = client.batch([{ sql: 'SELECT 1' }, { sql: "INSERT INTO t (v) VALUES ('a')" }]);
  expect(await failure(batch)).toMatchObject({ index: 1 });
});

test('writes of all processes share groups', async () => {
  const { writer, client } = await pair();
  await client.exec(TABLE);
  const before = writer.stats().writes;
  const all: Promise<unknown>[] = [];
  for (let i = 0; i < 300; i++) {
    all.push(writer.run('INSERT INTO t (v) VALUES (?)', [`w${i}`]));
    all.push(client.run('INSERT INTO t (v) VALUES (?)', [`c${i}`]));
  }
  await Promise.all(all);
  const after = writer.stats().writes;
  // As many groups as the own writes and those of the client would take by themselves, at most.
  expect(after.groups - before.groups).toBeLessThan(60);
  const rows = await client.values<[string]>('SELECT v FROM t ORDER BY id');
  for (const name of ['w', 'c']) {
    const own = rows.map(([v]) => v).filter((v) => v.startsWith(name));
    expect(own).toEqual(Array.from({ length: 300 }, (_, i) => `${name}${i}`));
  }
});

test('one process has at most its share of every group and of the turns', async () => {
  const { writer, client } = await pair();
  await client.exec(TABLE);
  const all: Promise<unknown>[] = [];
  const insert = 'INSERT INTO t (v) VALUES (?)';
  // All of them wait before the first of them may go. What the writer's own process wants would
  // fill many groups, of 1,024 writes.
  const lease = await writer.lease('write');
  for (let i = 0; i < 4000; i++) all.push(writer.run(insert, [`w${i}`]));
  all.push(client.run(insert, ['c']));
  await until(() => writer.stats().writes.queued === 4001);
  await lease.release();
  await Promise.all(all.splice(0));
  const { id } = (await writer.get<{ id: number }>("SELECT id FROM t WHERE v = 'c'")) ?? {};
  expect(id).toBeLessThanOrEqual(1024);

  const turn = (pool: Pool, name: string) => pool.transaction((tx) => tx.run(insert, [name]));
  const before = await writer.lease('write');
  for (let i = 0; i < 40; i++) all.push(turn(writer, `turn w${i}`));
  all.push(turn(client, 'turn c'));
  await until(() => writer.stats().transactions.waiting === 41);
  await before.release();
  await Promise.all(all);
  const turns = await writer.values("SELECT v FROM t WHERE v LIKE 'turn%' ORDER BY id");
  expect(turns.length).toBe(41);
  expect(turns.findIndex(([v]) => v === 'turn c')).toBeLessThanOrEqual(1);
});

test('a read sees every write that was acknowledged, and those issued before it', async () => {
  const { writer, client } = await pair();
  await client.exec(TABLE);
  for (let i = 1; i <= 30; i++) {
    const pool = i % 2 === 0 ? writer : client;
    await pool.run('INSERT INTO t (v) VALUES (?)', [i]);
    expect(await pool.get('SELECT count(*) AS n FROM t')).toEqual({ n: i });
  }
  void client.run('INSERT INTO t (v) VALUES (31)');
  expect(await client.get('SELECT count(*) AS n FROM t')).toEqual({ n: 31 });
});

test('a transaction may wait for a read of its own pool, whatever else was written', async () => {
  const { client } = await pair();
  await client.exec(TABLE);
  await client.transaction(async (tx) => {
    await tx.run("INSERT INTO t (v) VALUES ('in')");
    expect(await client.get('SELECT count(*) AS n FROM t')).toEqual({ n: 0 });
  });
  await Promise.all(
    Array.from({ length: 30 }, (_, i) => [
      client.run('INSERT INTO t (v) VALUES (?)', [i]),
      client.transaction(async (tx) => {
        await tx.run('UPDATE t SET v = v');
        await client.get('SELECT count(*) FROM t');
      }),
    ]).flat(),
  );
});

test('limits in time hold across the socket', async () => {
  const { writer, client } = await pair({ acquireTimeout: 1000 });
  await client.exec(TABLE);
  const lease = await writer.lease('write', { timeout: 0 });
  const late = await Promise.all([
    failure(client.run("INSERT INTO t (v) VALUES ('late')")),
    failure(client.transaction((tx) => tx.run("INSERT INTO t (v) VALUES ('late')"))),
    failure(client.lease('write', { acquireTimeout: 50 })),
  ]);
  expect(late.map(({ code }) => code)).toEqual(['POOL_TIMEOUT', 'POOL_TIMEOUT', 'POOL_TIMEOUT']);
  await lease.release();
  const patient = { acquireTimeout: 60_000 };
  const held = client.transaction(
    async (tx) => {
      await tx.run("INSERT INTO t (v) VALUES ('held')");
      await new Promise(() => {});
    },
    { timeout: 300, ...patient },
  );
  expect((await failure(held)).message).toContain('transactionTimeout (300 ms)');
  await writer.transaction((tx) => tx.run("INSERT INTO t (v) VALUES ('held')"), patient);
  const gone = new AbortController();
  const aborted = client.transaction(
    async (tx) => {
      await tx.run("INSERT INTO t (v) VALUES ('aborted')");
      gone.abort();
      await new Promise(() => {});
    },
    { signal: gone.signal, ...patient },
  );
  expect(await outcome(aborted)).toBe('POOL_ABORTED');
  expect(await client.values('SELECT v FROM t')).toEqual([['held']]);
});

test('other programs may write too: their locks are waited for', async () => {
  const { file, client } = await pair();
  await client.exec(TABLE);
  const other = new Database(file);
  other.exec("BEGIN IMMEDIATE; INSERT INTO t (v) VALUES ('other')");
  const mine = client.run("INSERT INTO t (v) VALUES ('mine')");
  await until(() => client.stats().writes.queued === 0);
  other.exec('COMMIT');
  other.close();
  await mine;
  expect(await client.get('SELECT count(*) AS n FROM t')).toEqual({ n: 2 });
});
