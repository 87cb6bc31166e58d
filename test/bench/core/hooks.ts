import { join } from 'node:path';
import { createPool, type Pool, type PoolOptions } from '@poolite/core';
import { perSecond, type Scenario } from '../harness.ts';

const INSERT = 'INSERT INTO t (a) VALUES (?)';
/** A query of a minute. */
const ENDLESS = `
  WITH RECURSIVE c (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 3000000000)
  SELECT count(*) AS n FROM c`;

async function opened(folder: string, name: string, options: PoolOptions): Promise<Pool> {
  const pool = createPool(join(folder, `${name}.db`), { readers: 1, ...options });
  await pool.exec('CREATE TABLE t (id INTEGER PRIMARY KEY, a)');
  await pool.runMany(
    INSERT,
    Array.from({ length: 1000 }, (_, i) => [i]),
  );
  return pool;
}

type Work = (pool: Pool, i: number) => Promise<unknown>;

/** The same work without the extension, with it, and with somebody who listens. */
function overhead(what: string, callers: number, work: Work, options: PoolOptions = {}): Scenario {
  const wanted = { ratio: 0.97 };
  return {
    name: `what the extension costs: ${what}`,
    unit: 'calls/s',
    rounds: 41,
    contenders: async (folder) => {
      const contender = async (name: string, more: PoolOptions, listens: boolean) => {
        const pool = await opened(folder, name, { ...options, ...more });
        if (listens) pool.on('change', () => {});
        let i = 0;
        return {
          name,
          round: () => perSecond(callers, 80, () => work(pool, ++i)),
          close: () => pool.close(),
        };
      };
      return [
        await contender('without it', { hooks: 'off' }, false),
        await contender('with it', {}, false),
        await contender('with it, and a listener', {}, true),
        await contender('with it, and one for rowids', { changes: { rowids: 100 } }, true),
      ];
    },
    wanted: { 'with it': wanted, 'with it, and a listener': wanted },
  };
}

const insert: Work = (pool, i) => pool.run(INSERT, [i]);
const transaction: Work = (pool, i) => pool.transaction((tx) => tx.run(INSERT, [i]));
const read: Work = (pool, i) => pool.get('SELECT a FROM t WHERE id = ?', [i % 1000]);

/** The 99th percentile of 200 tries, from the abort of a read to the answer of the next. */
const abort: Scenario = {
  name: 'abort of a query of a minute, to the next answer of its reader, p99 of 200',
  unit: 'ms',
  rounds: 3,
  contenders: async (folder) => {
    const pool = await opened(folder, 'abort', { inlineReads: 'off' });
    const round = async () => {
      const times: number[] = [];
      for (let i = 0; i < 200; i++) {
        const controller = new AbortController();
        const aborted = pool.get(ENDLESS, [], { signal: controller.signal }).catch(() => {});
        await new Promise((resolve) => setTimeout(resolve, 10));
        const started = performance.now();
        controller.abort();
        await aborted;
        await pool.get('SELECT 1');
        times.push(performance.now() - started);
      }
      times.sort((a, b) => a - b);
      return times[Math.floor(times.length * 0.99)] as number;
    };
    return [{ name: 'pool', round, close: () => pool.close() }];
  },
  wanted: { pool: { atMost: 20 } },
};

const timeout: Scenario = {
  name: 'a timeout of 200 ms on a query of a minute',
  unit: 'ms',
  rounds: 5,
  contenders: async (folder) => {
    const pool = await opened(folder, 'timeout', {});
    const round = async () => {
      const started = performance.now();
      await pool.get(ENDLESS, [], { timeout: 200 }).catch(() => {});
      return performance.now() - started;
    };
    return [{ name: 'pool', round, close: () => pool.close() }];
  },
  wanted: { pool: { atMost: 300 } },
};

/** How often a live query looks while 10,000 rows are written one by one, to its final state. */
const live: Scenario = {
  name: 'looks of a live query over 10,000 commits',
  long: true,
  unit: 'looks',
  rounds: 3,
  contenders: async (folder) => {
    const pool = await opened(folder, 'live', {});
    const round = async () => {
      const [{ n }] = (await pool.all('SELECT count(*) AS n FROM t')) as [{ n: number }];
      let looks = 0;
      const watching = (async () => {
        for await (const rows of pool.live<{ n: number }>('SELECT count(*) AS n FROM t')) {
          looks++;
          if (rows[0]?.n === n + 10_000) return;
        }
      })();
      for (let i = 0; i < 10_000; i++) await pool.run(INSERT, [i]);
      await watching;
      return looks;
    };
    return [{ name: 'pool', round, close: () => pool.close() }];
  },
  wanted: { pool: { atMost: 10_000 } },
};

/** The extension of `@poolite/hooks`: what it costs, and how soon it stops a statement. */
export const hooks: readonly Scenario[] = [
  overhead('inserts, 1 caller', 1, insert),
  overhead('inserts, 64 callers', 64, insert),
  overhead('durable inserts, 64 callers', 64, insert, { synchronous: 'full' }),
  overhead('transactions of one insert, 1 caller', 1, transaction),
  overhead('point reads on the calling thread', 1, read),
  overhead('point reads on a reader, 64 callers', 64, read, { inlineReads: 'off' }),
  abort,
  timeout,
  live,
];
