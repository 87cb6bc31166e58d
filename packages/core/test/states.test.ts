import { existsSync, writeFileSync } from 'node:fs';
import { createPool, type Pool } from '@poolite/core';
import { expect, test } from 'vitest';
import { allSettled, freshFile, openPool, outcome, writeModule } from './support/folder.ts';
import { slowPool } from './support/slow.ts';

const insert = 'INSERT INTO t (id) VALUES (NULL)';

/** Every way to ask a pool for something. What throws at once counts as a rejection. */
const calls: Record<string, (pool: Pool) => Promise<unknown>> = {
  ready: (pool) => pool.ready(),
  all: (pool) => pool.all('SELECT * FROM t'),
  get: (pool) => pool.get('SELECT * FROM t'),
  values: (pool) => pool.values('SELECT * FROM t'),
  query: (pool) => pool.query('SELECT * FROM t'),
  'query that writes': (pool) => pool.query(insert),
  run: (pool) => pool.run(insert),
  'run with a timeout': (pool) => pool.run(insert, [], { timeout: 5000 }),
  'all with a timeout': (pool) => pool.all('SELECT * FROM t', [], { timeout: 5000 }),
  runMany: (pool) => pool.runMany(insert, [[], []]),
  exec: (pool) => pool.exec(insert),
  batch: (pool) => pool.batch([{ sql: insert }, { sql: insert }]),
  'an empty batch': (pool) => pool.batch([]),
  iterate: async (pool) => pool.iterate('SELECT * FROM t').next(),
  'iterate that writes': async (pool) => pool.iterate(`${insert} RETURNING id`).next(),
  transaction: (pool) => pool.transaction((tx) => tx.run(insert)),
  'an empty transaction': (pool) => pool.transaction(async () => {}),
  snapshot: (pool) => pool.snapshot((tx) => tx.all('SELECT * FROM t')),
  'an empty snapshot': (pool) => pool.snapshot(async () => {}),
  'read lease': async (pool) => {
    const lease = await pool.lease('read');
    await lease.get('SELECT 1');
    await lease.release();
  },
  'write lease': async (pool) => {
    const lease = await pool.lease('write');
    await lease.run(insert);
    await lease.release();
  },
  'VACUUM, which runs alone': (pool) => pool.run('VACUUM'),
  checkpoint: (pool) => pool.checkpoint('FULL'),
  stats: async (pool) => pool.stats(),
  file: async (pool) => pool.file,
  on: async (pool) => pool.on('close', () => {}),
};

/** These tell of the pool itself, in every state. */
const always = new Set(['stats', 'file', 'on']);

function callAll(pool: Pool): Record<string, Promise<unknown>> {
  const made: Record<string, Promise<unknown>> = {};
  for (const [name, call] of Object.entries(calls)) {
    made[name] = new Promise((resolve) => resolve(call(pool)));
  }
  return made;
}

/** What every call must give. */
function allBut(code: string, others: Record<string, string> = {}): Record<string, string> {
  return Object.fromEntries(
    Object.keys(calls).map((name) => [
      name,
      always.has(name) ? 'resolved' : (others[name] ?? code),
    ]),
  );
}

test('opening: every call waits, and is done', async () => {
  const { pool, file } = await slowPool();
  await pool.close();
  const again = openPool(file);
  expect(again.stats().state).toBe('opening');
  expect(await allSettled(callAll(again))).toEqual(allBut('resolved'));
});

test('open: every call is done', async () => {
  const { pool } = await slowPool();
  await pool.ready();
  expect(pool.stats().state).toBe('open');
  expect(await allSettled(callAll(pool))).toEqual(allBut('resolved'));
});

test('in memory: every call is done', async () => {
  for (const file of [':memory:', '']) {
    const pool = openPool(file);
    await pool.exec('CREATE TABLE t (id INTEGER PRIMARY KEY)');
    expect(await allSettled(callAll(pool))).toEqual(allBut('resolved'));
    await pool.close();
    expect(await allSettled(callAll(pool))).toEqual(allBut('POOL_CLOSED', { ready: 'resolved' }));
  }
});

test('closing: every new call is refused, while what was accepted goes on', async () => {
  const { pool, hold } = await slowPool();
  await pool.ready();
  hold.close();
  const slow = pool.run('INSERT INTO t (who) VALUES (held())');
  const closed = pool.close({ timeout: 600_000 });
  expect(await allSettled(callAll(pool))).toEqual(allBut('POOL_CLOSED', { ready: 'resolved' }));
  expect(pool.stats().state).toBe('closing');
  hold.open();
  expect(await allSettled({ slow, closed })).toEqual({
    slow: 'resolved',
    closed: 'resolved',
  });
});

test('closing while opening: every new call is refused', async () => {
  const pool = openPool(freshFile());
  const closed = pool.close();
  const outcomes = await allSettled({ ...callAll(pool), closed });
  expect(outcomes).toEqual({ ...allBut('POOL_CLOSED', { ready: 'resolved' }), closed: 'resolved' });
});

test('closed: every call is refused', async () => {
  for (const force of [false, true]) {
    const { pool } = await slowPool();
    await pool.close({ force });
    expect(pool.stats().state).toBe('closed');
    const outcomes = await allSettled(callAll(pool));
    expect(outcomes).toEqual(allBut('POOL_CLOSED', { ready: 'resolved' }));
    expect(await outcome(pool.close())).toBe('resolved');
  }
});

test('failed: every call is refused with the reason', async () => {
  const pool = createPool('/nowhere/at/all/test.db');
  await outcome(pool.ready());
  expect(pool.stats().state).toBe('failed');
  const outcomes = await allSettled(callAll(pool));
  expect(outcomes).toEqual(allBut('SQLITE_CANTOPEN', { 'an empty batch': 'resolved' }));
  expect(await outcome(pool.close())).toBe('resolved');
  expect(await allSettled(callAll(pool))).toEqual(
    allBut('POOL_CLOSED', { ready: 'SQLITE_CANTOPEN' }),
  );
});

/** A pool whose threads cannot be replaced any more once `break()` was called. */
async function fragilePool() {
  const file = freshFile();
  const flag = `${file}.broken`;
  const setup = writeModule(
    file,
    'fragile.mjs',
    `import { existsSync } from 'node:fs';
    const word = new Int32Array(new SharedArrayBuffer(4));
    export default (db) => {
      if (existsSync(${JSON.stringify(flag)})) throw new Error('the key is gone');
      db.function('die', () => process.exit(1));
      db.function('sleep', (ms) => (Atomics.wait(word, 0, 0, ms), ms));
    };`,
  );
  const pool = openPool(file, { readers: 1, inlineReads: 'off', setup });
  await pool.exec('CREATE TABLE t (id INTEGER PRIMARY KEY, who TEXT)');
  return {
    pool,
    break: () => {
      writeFileSync(flag, '');
      expect(existsSync(flag)).toBe(true);
    },
  };
}

const never = () => new Promise<never>(() => {});

test('a reader that cannot be replaced fails the pool: whatever is under way is answered', async () => {
  const fragile = await fragilePool();
  const { pool } = fragile;
  const lease = await pool.lease('read');
  const held = {
    idle: pool.transaction(async (tx) => {
      await tx.run(insert);
      await never();
    }),
    behind: pool.transaction((tx) => tx.run(insert)),
    snapshot: pool.snapshot(async (tx) => {
      await tx.get('SELECT 1');
      await never();
    }),
  };
  await expect.poll(() => pool.stats().transactions.heldMs).toBeGreaterThan(20);
  fragile.break();
  const late = { write: pool.run(insert), killer: pool.get('SELECT die()') };
  const outcomes = await allSettled({ ...held, ...late });
  for (const [name, each] of Object.entries(outcomes)) expect(each, name).not.toBe('resolved');
  expect(pool.stats().state).toBe('failed');
  const later = await allSettled({ ...callAll(pool), lease: lease.get('SELECT 1') });
  for (const [name, each] of Object.entries(later)) {
    // ready() told of the opening, which went well; an empty batch asks for nothing.
    const idle = always.has(name) || name === 'ready' || name === 'an empty batch';
    if (!idle) expect(each, name).not.toBe('resolved');
  }
  expect(await outcome(lease.release())).toBe('resolved');
  expect(await outcome(pool.close())).toBe('resolved');
});

test('a writer that cannot be replaced fails the pool: whatever is under way is answered', async () => {
  const fragile = await fragilePool();
  const { pool } = fragile;
  const lease = await pool.lease('read');
  fragile.break();
  const held = {
    killer: pool.run('INSERT INTO t (who) VALUES (die())'),
    behind: pool.transaction((tx) => tx.run(insert)),
    write: pool.run(insert),
    runMany: pool.runMany(insert, [[], []]),
    exec: pool.exec(insert),
    slow: lease.get('SELECT sleep(300)'),
    snapshot: pool.snapshot(async (tx) => {
      await tx.get('SELECT 1');
      await never();
    }),
  };
  const outcomes = await allSettled(held);
  for (const [name, each] of Object.entries(outcomes)) {
    if (name !== 'slow') expect(each, name).not.toBe('resolved');
  }
  expect(await outcome(pool.run(insert))).not.toBe('resolved');
  expect(await outcome(pool.get('SELECT 1'))).not.toBe('resolved');
  expect(await outcome(pool.close())).toBe('resolved');
});
