import { type Pool, PoolError } from '@poolite/core';
import { expect, test } from 'vitest';
import { failure, openPool, outcome } from './support/folder.ts';
import { Gate, turn } from './support/observer.ts';
import { sharedSlowPool, slowPool } from './support/slow.ts';

const freshPool = sharedSlowPool();

interface Limits {
  signal?: AbortSignal;
  timeout?: number;
}

type Call = (pool: Pool, limits: Limits) => Promise<unknown>;

/** Both ways to give up, and the code that the call ends in where nothing had begun. */
const ways = { signal: 'POOL_ABORTED', timeout: 'POOL_TIMEOUT' } as const;
type Way = keyof typeof ways;

/** Gives up a call: by its signal when `begun` says so, by its timeout soon; how it ended. */
async function giveUp(way: Way, call: Call, pool: Pool, begun = () => turn(3), timeout = 60) {
  const controller = new AbortController();
  const reason = new Error('the caller has left');
  const limits = way === 'signal' ? { signal: controller.signal } : { timeout };
  const ended = failure(call(pool, limits));
  if (way === 'signal') await begun();
  controller.abort(reason);
  const error = await ended;
  if (error.code === 'POOL_ABORTED') expect(error.cause).toBe(reason);
  return error;
}

/** Gives them all up, and checks that each is answered so, while what they wait for goes on. */
async function giveUpAll(
  way: Way,
  calls: Record<string, Call>,
  pool: Pool,
  begun?: () => Promise<void>,
): Promise<void> {
  const all = Object.entries(calls).map(async ([name, call]) => {
    const error = await giveUp(way, call, pool, begun);
    expect(error.code, name).toBe(ways[way]);
    expect((error as PoolError).retryable, name).toBe(way === 'timeout');
  });
  await Promise.all(all);
}

const insert = 'INSERT INTO t (who) VALUES (?)';

/** Every way to write. */
const writes: Record<string, Call> = {
  run: (pool, limits) => pool.run(insert, ['x'], limits),
  query: (pool, limits) => pool.query(insert, ['x'], limits),
  returning: (pool, limits) => pool.all(`${insert} RETURNING id`, ['x'], limits),
  'get on the writer': (pool, limits) =>
    pool.get(`${insert} RETURNING id`, ['x'], { ...limits, access: 'write' }),
  batch: (pool, limits) => pool.batch([{ sql: insert, params: ['x'] }], limits),
  exec: (pool, limits) => pool.exec("INSERT INTO t (who) VALUES ('x')", limits),
  runMany: (pool, limits) => pool.runMany(insert, [['x'], ['x']], limits),
  iterate: (pool, limits) => pool.iterate(`${insert} RETURNING id`, ['x'], limits).next(),
  alone: (pool, limits) => pool.run('PRAGMA user_version = 5', [], limits),
  transaction: (pool, { signal, timeout: acquireTimeout }) =>
    pool.transaction((tx) => tx.run(insert, ['x']), { signal, acquireTimeout }),
  'write lease': async (pool, { signal, timeout: acquireTimeout }) => {
    const lease = await pool.lease('write', { signal, acquireTimeout });
    await lease.run(insert, ['x']);
    await lease.release();
  },
};

/** Reads that are held, each on a thread of its own where there is one. */
const reads: Record<string, Call> = {
  all: (pool, limits) => pool.all('SELECT held()', [], limits),
  get: (pool, limits) => pool.get('SELECT held()', [], limits),
  values: (pool, limits) => pool.values('SELECT held()', [], limits),
  query: (pool, limits) => pool.query('SELECT held()', [], limits),
  iterate: (pool, limits) => pool.iterate('SELECT held()', [], limits).next(),
};

/** Writes that are given up while they run. */
const running: Record<string, Call> = {
  run: (pool, limits) => pool.run('INSERT INTO t (who) VALUES (held())', [], limits),
  query: (pool, limits) => pool.query('INSERT INTO t (who) VALUES (held())', [], limits),
  batch: (pool, limits) =>
    pool.batch([{ sql: insert, params: [1] }, { sql: 'UPDATE t SET who = held()' }], limits),
  exec: (pool, limits) => pool.exec('INSERT INTO t (who) VALUES (held())', limits),
  iterate: (pool, limits) =>
    pool.iterate('INSERT INTO t (who) VALUES (held()) RETURNING id', [], limits).next(),
  alone: (pool, limits) => pool.run("ATTACH iif(held(), ':memory:', '') AS other", [], limits),
};

async function untouched(pool: Pool): Promise<void> {
  // Whatever was queued runs before this.
  await pool.transaction((tx) => tx.run('DELETE FROM t WHERE id < 0'));
  await pool.run('DELETE FROM t WHERE id < 0');
  expect(await pool.get('SELECT count(*) AS n FROM t')).toEqual({ n: 0 });
  expect(await pool.get('PRAGMA user_version')).toEqual({ user_version: 0 });
}

test('a signal that was aborted before refuses every call', async () => {
  const { pool } = await freshPool();
  const signal = AbortSignal.abort('gone');
  for (const [name, call] of [...Object.entries(writes), ...Object.entries(reads)]) {
    const error = await failure(call(pool, { signal }));
    expect(PoolError.is(error), name).toBe(true);
    expect(error.code, name).toBe('POOL_ABORTED');
    expect(error.cause, name).toBe('gone');
  }
  await untouched(pool);
});

for (const way of ['signal', 'timeout'] as const) {
  test(`a write given up by its ${way} while it is queued is never stored`, async () => {
    const { pool } = await freshPool();
    const gate = new Gate();
    const open = pool.transaction(async (tx) => {
      await tx.get('SELECT 1');
      await gate.opened;
    });
    await expect.poll(() => pool.stats().transactions.heldMs).toBeGreaterThan(0);
    await giveUpAll(way, writes, pool);
    gate.open();
    await open;
    await untouched(pool);
  });

  test(`a write given up by its ${way} while the pool opens is never stored`, async () => {
    const { pool, file, setup } = await slowPool();
    await pool.close();
    const again = openPool(file, { readers: 1, inlineReads: 'off', setup });
    const outcomes = Object.entries(writes).map(async ([name, call]) => {
      const limits = way === 'signal' ? { signal: AbortSignal.timeout(1) } : { timeout: 1 };
      expect(await outcome(call(again, limits)), name).toBe(ways[way]);
    });
    await Promise.all(outcomes);
    await untouched(again);
  });

  test(`a write given up by its ${way} while it runs: at once, and its outcome is unknown`, async () => {
    const all = Object.entries(running).map(async ([name, call]) => {
      const { pool, hold } = await slowPool();
      hold.close();
      const given = (timeout: number) => giveUp(way, call, pool, () => hold.begun(1), timeout);
      let error = await given(60);
      // A slow machine may not have begun it in that time, which is then told so.
      for (let more = 120; error.code === 'POOL_TIMEOUT' && hold.count === 0; more *= 2) {
        error = await given(more);
      }
      expect(error.code, name).toBe('POOL_OUTCOME_UNKNOWN');
      expect((error as PoolError).retryable, name).toBe(false);
      expect((error.cause as PoolError).code, name).toBe(ways[way]);
      hold.open();
      await pool.run(insert, ['after']);
      expect(await pool.get("SELECT who FROM t WHERE who = 'after'")).toEqual({ who: 'after' });
    });
    await Promise.all(all);
  });

  test(`a read given up by its ${way} while it runs is answered at once`, async () => {
    const { pool, hold } = await slowPool({ readers: 5 });
    hold.close();
    await giveUpAll(way, reads, pool, () => hold.begun(1));
    hold.open();
    expect(await pool.get('SELECT 1 AS one')).toEqual({ one: 1 });
  });

  test(`a read given up by its ${way} behind a slow statement is answered at once, and never run`, async () => {
    const { pool, hold } = await slowPool();
    hold.close();
    const slow = pool.get('SELECT held() AS one');
    await hold.begun(1);
    const { iterate, ...others } = reads;
    await giveUpAll(way, others, pool);
    hold.open();
    expect(await slow).toEqual({ one: 1 });
    // Behind all of them.
    await pool.get('SELECT 1');
    expect(hold.count).toBe(1);
    hold.close();
    const second = pool.get('SELECT held()');
    await hold.begun(2);
    await giveUpAll(way, { iterate: iterate as Call }, pool);
    hold.open();
    await second;
    expect(pool.stats().reads).toMatchObject({ held: 0, queued: 0, running: 0 });
  });

  test(`a read given up by its ${way} while it waits for the writes before it`, async () => {
    const { pool, hold } = await slowPool();
    hold.close();
    const write = pool.run('INSERT INTO t (who) VALUES (held())');
    const behind: Record<string, Call> = {
      get: (_, limits) => pool.get('SELECT count(*) FROM t', [], limits),
      iterate: (_, limits) => pool.iterate('SELECT id FROM t', [], limits).next(),
    };
    await giveUpAll(way, behind, pool);
    hold.open();
    await write;
    expect(pool.stats().reads).toMatchObject({ held: 0, queued: 0, running: 0 });
  });

  test(`a runMany given up by its ${way} half-way stores nothing, and its source ends`, async () => {
    const { pool } = await freshPool();
    let given = 0;
    let ended = false;
    async function* source() {
      try {
        for (; ; given++) {
          yield [given];
          if (given % 100 === 0) await turn();
        }
      } finally {
        ended = true;
      }
    }
    const call: Call = (_, limits) => pool.runMany(insert, source(), limits);
    const error = await giveUp(way, call, pool, () =>
      expect.poll(() => given).toBeGreaterThan(500),
    );
    expect([ways[way], 'POOL_OUTCOME_UNKNOWN']).toContain(error.code);
    await untouched(pool);
    await expect.poll(() => ended).toBe(true);
  });
}

test('statementTimeout is the timeout of every statement that names none', async () => {
  const { pool, file, setup, hold } = await slowPool();
  await pool.close();
  const limited = openPool(file, { readers: 5, inlineReads: 'off', setup, statementTimeout: 80 });
  await limited.ready();
  const all = (limits: Limits) =>
    Object.values(reads).map((read) => outcome(read(limited, limits)));
  hold.close();
  expect(new Set(await Promise.all(all({})))).toEqual(new Set(['POOL_TIMEOUT']));
  const patient = [...all({ timeout: 600_000 }), ...all({ timeout: 0 })];
  // Longer than those that were given up.
  expect(await outcome(limited.get('SELECT held()'))).toBe('POOL_TIMEOUT');
  hold.open();
  expect(new Set(await Promise.all(patient))).toEqual(new Set(['resolved']));
  for (const write of Object.values(running).slice(0, 4)) {
    hold.close();
    expect(await outcome(write(limited, {}))).toMatch(/^POOL_(OUTCOME_UNKNOWN|TIMEOUT)$/);
    hold.open();
  }
  const inside = limited.transaction(async (tx) => {
    hold.close();
    const code = await outcome(tx.get('SELECT held()'));
    hold.open();
    return [code, await tx.get('SELECT 1 AS one', [], { timeout: 0 })];
  });
  expect(await inside).toEqual(['POOL_TIMEOUT', { one: 1 }]);
  expect(await limited.checkpoint('TRUNCATE')).toMatchObject({ busy: 0 });
});

test('waiting for a reader of its own ends with acquireTimeout and with its signal', async () => {
  const { pool, hold } = await slowPool();
  const asks: Record<string, Call> = {
    lease: (_, { signal, timeout: acquireTimeout }) =>
      pool.lease('read', { signal, acquireTimeout }),
    snapshot: (_, { signal, timeout: acquireTimeout }) =>
      pool.snapshot((tx) => tx.get('SELECT 1'), { signal, acquireTimeout }),
  };
  for (const [i, way] of (['signal', 'timeout'] as const).entries()) {
    hold.close();
    const slow = pool.get('SELECT held()');
    await hold.begun(i + 1);
    await giveUpAll(way, asks, pool);
    hold.open();
    await slow;
  }
  const lease = await pool.lease('read');
  expect(await lease.get('SELECT 1 AS one')).toEqual({ one: 1 });
  await lease.release();
  // What was left would be waited for.
  await pool.close({ timeout: 600_000 });
  expect(pool.stats().state).toBe('closed');
});

test('a stream given up half-way leaves its reader to others', async () => {
  const { pool } = await slowPool();
  await pool.runMany(
    insert,
    Array.from({ length: 2000 }, (_, i) => [i]),
  );
  const controller = new AbortController();
  const stream = pool.iterate('SELECT id FROM t', [], { signal: controller.signal, chunkSize: 10 });
  let count = 0;
  const read = async () => {
    for await (const _ of stream) if (++count === 55) controller.abort();
  };
  expect(await outcome(read())).toBe('POOL_ABORTED');
  expect(count).toBe(55);
  expect(await stream.next()).toEqual({ done: true, value: undefined });
  // What was left would be waited for.
  await pool.close({ timeout: 600_000 });
});

test('limits that are not reached leave nothing behind', async () => {
  const { pool } = await freshPool();
  const controller = new AbortController();
  const warnings: Error[] = [];
  const listen = (warning: Error) => warnings.push(warning);
  process.on('warning', listen);
  const limits = { signal: controller.signal, timeout: 60_000 };
  const calls: Promise<unknown>[] = [];
  for (let i = 0; i < 200; i++) {
    calls.push(pool.run(insert, [i], limits), pool.get('SELECT 1', [], limits));
  }
  await Promise.all(calls);
  controller.abort();
  await new Promise((resolve) => setImmediate(resolve));
  process.off('warning', listen);
  expect(warnings).toEqual([]);
  expect(await pool.get('SELECT count(*) AS n FROM t')).toEqual({ n: 200 });
});

test('a limit that is no number of ms is refused, naming it', async () => {
  const { pool } = await freshPool();
  for (const wrong of [-1, Number.NaN, '100', Number.POSITIVE_INFINITY, 1.5, 2 ** 31]) {
    for (const [name, call] of [...Object.entries(writes), ...Object.entries(reads)]) {
      const error = await failure(call(pool, { timeout: wrong as number }));
      expect(error.code, `${name}, ${String(wrong)}`).toBe('POOL_OPTIONS');
      expect(error.message, name).toMatch(/'(timeout|acquireTimeout)'/);
    }
  }
  await untouched(pool);
});
