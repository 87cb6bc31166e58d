import { type ChildProcess, fork } from 'node:child_process';
import { randomBytes, randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { join } from 'node:path';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { fileURLToPath } from 'node:url';
import { createPool, type Pool } from '@poolite/core';
import { type Contender, perSecond, type Scenario } from './harness.ts';
import { slowBucket, slowStore } from './slow-store.ts';

const ROUND = 2000;
const NODES = 4;
const CALLERS = 16;
const ENTRIES = 1000;
const MAKE = 'CREATE TABLE item (id INTEGER PRIMARY KEY, count INTEGER NOT NULL, text TEXT)';
const FILL = `
  WITH RECURSIVE n (value) AS (SELECT 1 UNION ALL SELECT value + 1 FROM n WHERE value < ?)
  INSERT INTO item SELECT value, 0, 'text ' || value FROM n`;
const COUNT = 'UPDATE item SET count = count + 1 WHERE id = ?';

const program = fileURLToPath(new URL('./store-node.ts', import.meta.url));

async function filled(folder: string, name: string, ms: number, rows = 100): Promise<Pool> {
  const store = await slowStore(join(folder, name), ms);
  const pool = createPool(join(folder, `${name}.db`), { driver: 'node:sqlite', store, readers: 1 });
  await pool.exec(MAKE);
  await pool.run(FILL, [rows]);
  return pool;
}

/** How long one commit takes, against the one request that it cannot do without. */
function oneCaller(ms: number): Scenario {
  const round = async (work: () => Promise<unknown>) => 1000 / (await perSecond(1, ROUND, work));
  return {
    name: `store: one caller, requests of ${ms} ms`,
    unit: 'ms',
    rounds: 5,
    contenders: async (folder) => {
      const bucket = await slowBucket(join(folder, 'puts'), ms);
      const pool = await filled(folder, 'commits', ms);
      const body = randomBytes(300);
      return [
        {
          name: 'one conditional PUT',
          round: () => round(() => bucket.create(`put/${randomUUID()}`, body)),
        },
        {
          name: 'one commit',
          round: () => round(() => pool.run(COUNT, [1])),
          close: () => pool.close(),
        },
      ];
    },
    ...(ms === 0 ? {} : { wanted: { 'one commit': { atMostRatio: 1.2 } } }),
  };
}

function manyCallers(ms: number): Scenario {
  const name = '64 callers';
  return {
    ...{ name: `store: 64 callers on one machine, requests of ${ms} ms`, unit: 'commits/s' },
    rounds: 5,
    contenders: async (folder) => {
      const pool = await filled(folder, 'many', ms);
      return [
        {
          name,
          round: () => perSecond(64, ROUND, (caller) => pool.run(COUNT, [caller])),
          close: () => pool.close(),
        },
      ];
    },
    ...(ms === 20 ? { wanted: { [name]: { atLeast: 2000 } } } : {}),
  };
}

/** Machines at one bucket, each a process. */
class Nodes {
  readonly #children: ChildProcess[];

  constructor(children: ChildProcess[]) {
    this.#children = children;
  }

  static async start(folder: string, ms: number, roundMs: number): Promise<Nodes> {
    await (await filled(folder, 'nodes', 0)).close();
    const children = Array.from({ length: NODES }, (_, i) => {
      const args = [join(folder, 'nodes'), join(folder, `node-${i}.db`)];
      const execArgv = ['--experimental-strip-types', '--no-warnings'];
      const numbers = [ms, CALLERS, roundMs].map(String);
      return fork(program, [...args, ...numbers], { execArgv });
    });
    await Promise.all(children.map((child) => once(child, 'message')));
    return new Nodes(children);
  }

  /** What each of them commits in a second. */
  async round(): Promise<number[]> {
    const rates = this.#children.map((child) => once(child, 'message'));
    for (const child of this.#children) child.send('begin');
    return (await Promise.all(rates)).map(([rate]) => rate as number);
  }

  async close(): Promise<void> {
    const closed = this.#children.map((child) => once(child, 'close'));
    for (const child of this.#children) child.send('close');
    await Promise.all(closed);
  }
}

const sum = (values: readonly number[]) => values.reduce((all, value) => all + value, 0);

function nodes(what: 'together' | 'the slowest', ms: number): Scenario {
  const isShare = what === 'the slowest';
  const wanted = isShare ? 0.1 : 400;
  return {
    name: isShare
      ? `store: the slowest of ${NODES} machines, requests of ${ms} ms`
      : `store: ${NODES} machines of ${CALLERS} callers, requests of ${ms} ms`,
    unit: isShare ? 'of its fair share' : 'commits/s',
    ...{ rounds: 3, long: true },
    contenders: async (folder) => {
      const all = await Nodes.start(folder, ms, 6000);
      const figure = (rates: number[]) =>
        isShare ? (Math.min(...rates) * NODES) / sum(rates) : sum(rates);
      return [
        { name: what, round: async () => figure(await all.round()), close: () => all.close() },
      ];
    },
    ...(ms === 20 ? { wanted: { [what]: { atLeast: wanted } } } : {}),
  };
}

/** A machine that begins with nothing: the newest snapshot, and all that comes behind it. */
const coldStart: Scenario = {
  name: `store: a new machine, a snapshot and ${ENTRIES} entries, requests of 20 ms`,
  ...{ unit: 'ms', rounds: 5, long: true },
  contenders: async (folder) => {
    const fast = await slowStore(join(folder, 'cold'), 0, { snapshotEvery: 2 });
    const first = createPool(join(folder, 'first.db'), { driver: 'node:sqlite', store: fast });
    await first.exec(MAKE);
    await first.runMany(
      'INSERT INTO item VALUES (?, 0, ?)',
      Array.from({ length: 50_000 }, (_, id) => [id, `text ${id}`]),
    );
    await first.close();
    const plain = await slowStore(join(folder, 'cold'), 0);
    const pool = createPool(join(folder, 'first.db'), { driver: 'node:sqlite', store: plain });
    for (let i = 0; i < ENTRIES; i++) await pool.run(COUNT, [i]);
    await pool.close();
    const store = await slowStore(join(folder, 'cold'), 20);
    let files = 0;
    const round = async () => {
      const started = performance.now();
      const fresh = createPool(join(folder, `cold-${++files}.db`), {
        driver: 'node:sqlite',
        store,
      });
      const count = await fresh.get<{ n: number }>('SELECT sum(count) AS n FROM item');
      const took = performance.now() - started;
      await fresh.close();
      if (count?.n !== ENTRIES) throw new Error(`it has ${count?.n} of ${ENTRIES} entries`);
      return took;
    };
    return [{ name: 'until its first read', round }];
  },
  wanted: { 'until its first read': { atMost: 3000 } },
};

/** How long the event loop stands still while a machine commits, follows another, and makes snapshots. */
const stall: Scenario = {
  name: 'store: longest stall of the event loop, two machines in one process, snapshots, 10 MB commits',
  ...{ unit: 'ms', rounds: 3, long: true },
  contenders: async (folder): Promise<Contender[]> => {
    await (await filled(folder, 'stall', 0, 50_000)).close();
    const pools = await Promise.all(
      [1, 2].map(async (i) => {
        const store = await slowStore(join(folder, 'stall'), 20, { snapshotEvery: 20 });
        const file = join(folder, `stall-${i}.db`);
        const pool = createPool(file, { driver: 'node:sqlite', store, readers: 1, retries: 1000 });
        await pool.ready();
        return pool;
      }),
    );
    const large = randomBytes(10_000_000);
    const round = async () => {
      const delay = monitorEventLoopDelay({ resolution: 1 });
      delay.enable();
      const load = pools.map((pool) =>
        perSecond(CALLERS, ROUND, (caller) => pool.run(COUNT, [caller])),
      );
      await pools[0]?.run('UPDATE item SET text = ? WHERE id = 1', [large]);
      await Promise.all(load);
      // The delay of the last turn is counted when its timer comes.
      await new Promise((resolve) => setTimeout(resolve, 20));
      delay.disable();
      return delay.max / 1e6;
    };
    const close = async () => {
      await Promise.all(pools.map((pool) => pool.close()));
    };
    return [{ name: 'pool', round, close }];
  },
  wanted: { pool: { atMost: 60 } },
};

/** What it costs to share a database with other machines. */
export const store: readonly Scenario[] = [
  ...[0, 20, 50].flatMap((ms) => [oneCaller(ms), manyCallers(ms)]),
  ...[0, 20, 50].map((ms) => nodes('together', ms)),
  nodes('the slowest', 20),
  coldStart,
  stall,
];
