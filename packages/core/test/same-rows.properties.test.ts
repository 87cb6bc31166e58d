import { inspect } from 'node:util';
import type { Integers, Params, Pool, Statements } from '@poolite/core';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { canonical } from './same-rows/canonical.js';
import { table } from './same-rows/schemas.js';
import {
  filling,
  METHODS,
  type Method,
  type Place,
  type Step,
  step,
} from './same-rows/statements.js';
import { failed, type Outcome, Twin } from './same-rows/twin.js';
import { copyOf } from './same-rows/values.js';
import { onNodeSqlite } from './support/engine.ts';
import { freshFile, openPool } from './support/folder.js';

const RUNS = Number(process.env.FC_RUNS ?? 16);
/** In ms; many runs take as long as they do. */
const LIMIT = 20_000 + RUNS * 200;

const scenario = fc.tuple(table('t'), table('u')).chain((tables) =>
  fc.record({
    ddl: fc.constant(tables.map((each) => each.ddl).join('\n')),
    fillings: fc.tuple(...tables.map(filling)),
    steps: fc.array(step(tables), { minLength: 1, maxLength: 16 }),
  }),
);

/** The seed is shown while running, so that a run that hangs can be repeated too. */
async function check(name: string, property: fc.IAsyncProperty<unknown>): Promise<void> {
  const seed = Number(process.env.FC_SEED ?? Date.now() % 2 ** 31);
  console.log(`${name}: FC_SEED=${seed}`);
  // Shrinking may take long: what it found by then is shown all the same.
  await fc.assert(property, { seed, numRuns: RUNS, interruptAfterTimeLimit: LIMIT });
}

describe.each<{ integers: Integers; inlineReads: 'auto' | 'off' }>([
  { integers: 'number', inlineReads: 'auto' },
  { integers: 'bigint', inlineReads: 'auto' },
  { integers: 'auto', inlineReads: 'auto' },
  { integers: 'auto', inlineReads: 'off' },
])('a pool with %o', { retry: 0 }, (options) => {
  test(
    'gives what better-sqlite3 gives, for every statement and method',
    async () => {
      const pool = openPool(freshFile(), { ...options, readers: 2 });
      const twin = new Twin(freshFile(), options.integers);
      try {
        await check(
          `same rows, ${inspect(options)}`,
          fc.asyncProperty(scenario, ({ ddl, fillings, steps }) =>
            compare(pool, twin, ddl, [...fillings.flat(), ...steps]),
          ),
        );
      } finally {
        twin.db.close();
      }
      const { inline, threaded } = pool.stats().reads;
      // Both ways were taken, or this test has compared less than it says. A busy machine finds few reads quick.
      expect(threaded).toBeGreaterThan(RUNS);
      if (options.inlineReads === 'auto') expect(inline).toBeGreaterThan(0);
      else expect(inline).toBe(0);
    },
    LIMIT + 120_000,
  );
});

/** Each scenario begins with the same state: no tables, and the same last rowid. */
const RESET =
  'DROP TABLE IF EXISTS t; DROP TABLE IF EXISTS u; PRAGMA user_version = 0; ' +
  'CREATE TABLE IF NOT EXISTS first (a); DELETE FROM first; INSERT INTO first VALUES (1);';

async function compare(pool: Pool, twin: Twin, ddl: string, steps: readonly Step[]): Promise<void> {
  await pool.exec(RESET);
  twin.db.exec(RESET);
  const made = await outcomeOf(() => pool.exec(ddl));
  expect(made).toEqual(outcomeNow(() => void twin.db.exec(ddl)));
  if (made.error !== undefined) return;
  for (const each of steps) {
    const { sql, params, method, place } = each;
    if (twin.reads(sql) !== true) {
      await same(pool, twin, place, method, sql, params);
      continue;
    }
    // A read that was quick twice runs on the calling thread from then on.
    for (let round = 0; round < 3; round++) {
      for (const how of METHODS) await same(pool, twin, 'pool', how, sql, params);
    }
    await same(pool, twin, place, method, sql, params);
  }
  for (const sql of ['SELECT * FROM t', 'SELECT * FROM u']) {
    await same(pool, twin, 'pool', 'values', sql, undefined);
  }
}

async function same(
  pool: Pool,
  twin: Twin,
  wanted: Place,
  method: Method,
  sql: string,
  params: Params | undefined,
): Promise<void> {
  const isRead = twin.reads(sql) === true;
  const place = possible(wanted, method, sql, isRead);
  const inTransaction = place === 'transaction' || (place === 'batch' && !isRead);
  const theirs = twin.run(place === 'batch' ? 'query' : method, sql, params, inTransaction);
  const mine = await outcomeOf(() => runAt(pool, place, method, sql, params));
  // Two versions of SQLite: one finds later what is wrong with a column, and counts otherwise in a plan.
  if (onNodeSqlite && /^\W*(ALTER|EXPLAIN)\b/i.test(sql)) return;
  const sameError = mine.error?.class === theirs.error?.class;
  if (sameError && show(mine) === show(theirs)) return;
  // The pool may have prepared the text while the schema still allowed it: what is wrong with the
  // method or the parameters is then found before SQLite looks at the schema again.
  const { name } = mine.error ?? {};
  if (twin.reads(sql) === undefined && (name === 'TypeError' || name === 'RangeError')) return;
  const call = `${place}.${method}(${inspect(sql)}, ${inspect(params)})`;
  const [gave, wantedIt] = [mine, theirs].map((each) => show(each).slice(0, 2000));
  throw new Error(`${call}\ngave    ${gave}\nand not ${wantedIt}`);
}

/** Not every place takes every statement. */
function possible(place: Place, method: Method, sql: string, isRead: boolean): Place {
  if (place === 'batch' && !/^\s*(SELECT|VALUES|INSERT|REPLACE|UPDATE|DELETE)\b/.test(sql))
    return 'pool';
  if (place !== 'snapshot' && place !== 'lease') return place;
  // Readers write nothing, and tell of no rowid but of those that they wrote.
  return isRead ? (method === 'run' ? 'pool' : place) : 'transaction';
}

async function runAt(
  pool: Pool,
  place: Place,
  method: Method,
  sql: string,
  given: Params | undefined,
): Promise<unknown> {
  // The caller's own copy, which it spoils as soon as the call has returned.
  const params = copied(given);
  const call = (on: Statements) => {
    const result: Promise<unknown> =
      method === 'iterate'
        ? collect(on.iterate(sql, params, { chunkSize: 7 }))
        : (on[method] as typeof on.all).call(on, sql, params);
    spoil(params);
    return result;
  };
  switch (place) {
    case 'pool':
      return call(pool);
    case 'transaction':
      return pool.transaction<unknown>(call);
    case 'snapshot':
      return pool.snapshot<unknown>(call);
    case 'lease': {
      await using lease = await pool.lease('read');
      return await call(lease);
    }
    case 'batch': {
      const result = pool.batch([{ sql, params }]);
      spoil(params);
      return (await result)[0];
    }
  }
}

async function collect(rows: AsyncIterable<unknown>): Promise<unknown[]> {
  const all: unknown[] = [];
  for await (const row of rows) all.push(row);
  return all;
}

function copied(params: Params | undefined): Params | undefined {
  if (params === undefined) return undefined;
  if (Array.isArray(params)) return params.map(copyOf);
  return Object.fromEntries(Object.entries(params).map(([key, each]) => [key, copyOf(each)]));
}

function spoil(params: Params | undefined): void {
  if (params === undefined) return;
  for (const each of Object.values(params)) if (each instanceof Uint8Array) each.fill(0xee);
  for (const key of Object.keys(params)) (params as Record<string, unknown>)[key] = 'spoiled';
}

async function outcomeOf(work: () => Promise<unknown>): Promise<Outcome> {
  try {
    return { value: await work() };
  } catch (error) {
    return failed(error);
  }
}

function outcomeNow(work: () => unknown): Outcome {
  try {
    return { value: work() };
  } catch (error) {
    return failed(error);
  }
}

function show({ value, error }: Outcome): string {
  if (error === undefined) return canonical(value);
  return `${error.name} ${error.code}: ${error.message}`;
}
