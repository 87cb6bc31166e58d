import { PoolError, type PoolOptions } from '@poolite/core';
import { expect, test } from 'vitest';
import { type Deadly, deadlyPool } from './support/deadly.ts';
import { allSettled, failure, outcome } from './support/folder.ts';

async function filledPool(options?: PoolOptions): Promise<Deadly> {
  const deadly = await deadlyPool(options);
  const rows = Array.from({ length: 2000 }, (_, i) => [i, `row ${i}`]);
  await deadly.pool.runMany('INSERT INTO t VALUES (?, ?)', rows);
  return deadly;
}

test('the read that killed its thread rejects with POOL_THREAD_LOST, and the pool works on', async () => {
  const { pool, lost } = await filledPool();
  const error = await failure(pool.get('SELECT die()'));
  expect(PoolError.is(error)).toBe(true);
  expect(error.code).toBe('POOL_THREAD_LOST');
  expect((error as PoolError).retryable).toBe(true);
  expect(String(error.cause)).toMatch(/exited with code 7/);
  expect(error.stack).toContain('thread-loss.test.ts');
  expect(lost).toEqual(['reader']);
  expect(pool.stats()).toMatchObject({ state: 'open', readers: 1, threadsLost: 1 });
  expect(await pool.get('SELECT count(*) AS n FROM t')).toEqual({ n: 2000 });
  await pool.close();
});

for (const readers of [1, 2, 4]) {
  test(`reads that waited behind it are run by others (${readers} readers)`, async () => {
    const { pool } = await filledPool({ readers });
    const read = (id: number) => pool.get<{ id: number }>('SELECT id FROM t WHERE id = ?', [id]);
    const before = Array.from({ length: 300 }, (_, i) => read(i));
    const killer = outcome(pool.get('SELECT die()'));
    const after = Array.from({ length: 300 }, (_, i) => read(1000 + i));
    const later = new Promise((resolve) => setImmediate(resolve)).then(() => read(1999));
    const rows = await Promise.all([...before, ...after, later]);
    expect(rows.map((row) => row?.id)).toEqual([
      ...Array.from({ length: 300 }, (_, i) => i),
      ...Array.from({ length: 300 }, (_, i) => 1000 + i),
      1999,
    ]);
    expect(await killer).toBe('POOL_THREAD_LOST');
  });
}

test('every one of many deaths in a row is survived', async () => {
  const { pool, lost } = await filledPool({ readers: 2 });
  for (let i = 0; i < 12; i++) {
    expect(await outcome(pool.get('SELECT die()'))).toBe('POOL_THREAD_LOST');
    if (i % 3 === 0) expect(await pool.get('SELECT id FROM t WHERE id = 5')).toEqual({ id: 5 });
  }
  expect(lost).toEqual(Array(12).fill('reader'));
  expect(pool.stats().threadsLost).toBe(12);
});

test('all readers may die at once', async () => {
  const { pool } = await filledPool({ readers: 4 });
  const killers = Array.from({ length: 8 }, () => outcome(pool.get('SELECT die()')));
  const reads = Array.from({ length: 100 }, (_, i) => pool.get('SELECT ? AS i', [i]));
  expect(await Promise.all(reads)).toEqual(reads.map((_, i) => ({ i })));
  expect(new Set(await Promise.all(killers))).toEqual(new Set(['POOL_THREAD_LOST']));
});

test('killers among quick reads of the same text: who did not kill is answered truly', async () => {
  const { pool } = await filledPool({ readers: 2 });
  const sql = 'SELECT id, die_if(?) AS alive FROM t WHERE id = ?';
  for (let i = 0; i < 50; i++) await pool.get(sql, [0, i]);
  const kills = (i: number) => i % 97 === 50;
  const reads = Array.from({ length: 400 }, (_, i) => pool.get(sql, [kills(i) ? 1 : 0, i]));
  const results = await Promise.allSettled(reads);
  results.forEach((result, i) => {
    if (result.status === 'fulfilled') expect(result.value).toEqual({ id: i, alive: 0 });
    else expect(result.reason.code).toBe('POOL_THREAD_LOST');
    expect(result.status).toBe(kills(i) ? 'rejected' : 'fulfilled');
  });
  expect(await pool.get(sql, [0, 7])).toEqual({ id: 7, alive: 0 });
});

test('a snapshot whose thread dies rejects, and so does what it is asked afterwards', async () => {
  const { pool } = await filledPool();
  const codes: string[] = [];
  const whole = pool.snapshot(async (tx) => {
    await tx.get('SELECT 1');
    codes.push(await outcome(tx.get('SELECT die()')));
    codes.push(await outcome(tx.get('SELECT 1')));
    codes.push(await outcome(tx.iterate('SELECT 1').next()));
    codes.push(await outcome(tx.savepoint(async (inner) => inner.get('SELECT 1'))));
    return tx.get('SELECT 1');
  });
  expect(await outcome(whole)).toBe('POOL_THREAD_LOST');
  expect(new Set(codes)).toEqual(new Set(['POOL_THREAD_LOST']));
  expect(await pool.snapshot((tx) => tx.get('SELECT 1 AS one'))).toEqual({ one: 1 });
});

test('the thread in the place of a dead one is told of what the dead one was asked afterwards', async () => {
  const { pool } = await filledPool();
  const lease = await pool.lease('read');
  expect(await outcome(lease.get('SELECT die()'))).toBe('POOL_THREAD_LOST');
  expect(await outcome(lease.get('SELECT 42 AS answer'))).toBe('POOL_THREAD_LOST');
  expect(await outcome(lease.iterate('SELECT 43 AS answer').next())).toBe('POOL_THREAD_LOST');
  await lease.release();
  expect(await pool.get('SELECT 42 AS answer')).toEqual({ answer: 42 });
  expect(await pool.get('SELECT 43 AS answer')).toEqual({ answer: 43 });
});

test("snapshots, leases and streams hear of it when another's read killed their thread", async () => {
  const { pool } = await filledPool();
  let go = () => {};
  const killed = new Promise<void>((resolve) => {
    go = resolve;
  });
  let begun = () => {};
  const started = new Promise<void>((resolve) => {
    begun = resolve;
  });
  const snapshot = pool.snapshot(async (tx) => {
    await tx.get('SELECT count(*) FROM t');
    begun();
    await killed;
    return tx.get('SELECT count(*) FROM t');
  });
  const lease = await pool.lease('read');
  await lease.get('SELECT 1');
  const stream = pool.iterate<{ id: number }>('SELECT id FROM t ORDER BY id', [], {
    chunkSize: 10,
  });
  expect(await stream.next()).toEqual({ done: false, value: { id: 0 } });
  await started;
  expect(await outcome(pool.get('SELECT die()'))).toBe('POOL_THREAD_LOST');
  go();
  const rest = async () => {
    let last = 0;
    for await (const { id } of stream) {
      expect(id).toBe(last + 1);
      last = id;
    }
  };
  const outcomes = await allSettled({
    snapshot,
    'lease.get': lease.get('SELECT 1'),
    'lease.iterate': lease.iterate('SELECT 1').next(),
    'lease.exec': lease.exec('SELECT 1'),
    stream: rest(),
  });
  expect(new Set(Object.values(outcomes))).toEqual(new Set(['POOL_THREAD_LOST']));
  expect(await outcome(lease.release())).toBe('resolved');
  expect(await pool.get('SELECT count(*) AS n FROM t')).toEqual({ n: 2000 });
  await pool.close({ timeout: 2000 });
});

test('a stream whose own statement kills its thread rejects', async () => {
  const { pool } = await filledPool();
  const rows = pool.iterate('SELECT id, die_if(id = 700) FROM t ORDER BY id', [], {
    chunkSize: 100,
  });
  let count = 0;
  const read = async () => {
    for await (const _ of rows) count++;
  };
  expect(await outcome(read())).toBe('POOL_THREAD_LOST');
  expect(count).toBeGreaterThan(400);
  expect(count).toBeLessThanOrEqual(700);
  expect(await rows.next()).toEqual({ done: true, value: undefined });
});

test('a lease that is opening when the thread dies is refused or served, but never lost', async () => {
  const { pool } = await filledPool();
  for (let i = 0; i < 5; i++) {
    const killer = pool.get('SELECT die()');
    const lease = pool.lease('read');
    const stream = pool.iterate('SELECT 1 AS one');
    const outcomes = await allSettled({ lease, stream: stream.next(), killer });
    expect(outcomes.killer).toBe('POOL_THREAD_LOST');
    expect(['resolved', 'POOL_THREAD_LOST']).toContain(outcomes.lease);
    expect(['resolved', 'POOL_THREAD_LOST']).toContain(outcomes.stream);
    if (outcomes.lease === 'resolved')
      expect(await outcome((await lease).release())).toBe('resolved');
  }
  expect(await pool.get('SELECT 1 AS one')).toEqual({ one: 1 });
});

test('closing while a thread dies ends', async () => {
  for (const force of [false, true]) {
    const { pool } = await filledPool();
    const killers = [pool.get('SELECT die()'), pool.run('UPDATE t SET who = die() WHERE id = 1')];
    const codes = killers.map(outcome);
    await new Promise((resolve) => setImmediate(resolve));
    await pool.close({ force });
    for (const code of await Promise.all(codes)) {
      expect(['POOL_THREAD_LOST', 'POOL_OUTCOME_UNKNOWN', 'POOL_CLOSED']).toContain(code);
    }
  }
});
