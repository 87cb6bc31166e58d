import {
  type ChangeMessage,
  createPool,
  type Lease,
  type Pool,
  type PoolOptions,
  type RunResult,
  type StatementResult,
  type Transaction,
} from '@poolite/core';
import { afterAll, beforeAll, expectTypeOf, it } from 'vitest';

interface City {
  id: number;
  name: string;
}

let pool: Pool;

beforeAll(async () => {
  pool = createPool(':memory:');
  await pool.exec(
    "CREATE TABLE city (id INTEGER PRIMARY KEY, name TEXT); INSERT INTO city VALUES (1, 'a')",
  );
});

afterAll(() => pool.close());

it('gives rows the type that the caller names, and unknown values where it names none', async () => {
  expectTypeOf(await pool.all<City>('SELECT * FROM city')).toEqualTypeOf<City[]>();
  expectTypeOf(await pool.all('SELECT * FROM city')).toEqualTypeOf<Record<string, unknown>[]>();
  expectTypeOf(await pool.get<City>('SELECT * FROM city')).toEqualTypeOf<City | undefined>();
  expectTypeOf(await pool.values('SELECT * FROM city')).toEqualTypeOf<unknown[][]>();
  expectTypeOf(await pool.values<[number, string]>('SELECT * FROM city')).toEqualTypeOf<
    [number, string][]
  >();
  for await (const city of pool.iterate<City>('SELECT * FROM city')) {
    expectTypeOf(city).toEqualTypeOf<City>();
  }
});

it('gives live rows their type, and changes theirs', async () => {
  for await (const cities of pool.live<City>('SELECT * FROM city')) {
    expectTypeOf(cities).toEqualTypeOf<City[]>();
    break;
  }
  for await (const rows of pool.live('SELECT * FROM city')) {
    expectTypeOf(rows).toEqualTypeOf<Record<string, unknown>[]>();
    break;
  }
  const listener = ({ tables, rowids }: ChangeMessage) => {
    expectTypeOf(tables).toEqualTypeOf<string[]>();
    expectTypeOf(rowids).toEqualTypeOf<Record<string, (number | bigint)[]> | undefined>();
  };
  expectTypeOf(pool.on('change', listener).off('change', listener)).toEqualTypeOf<Pool>();
});

it('gives writes their results', async () => {
  const update = "UPDATE city SET name = 'b'";
  expectTypeOf(await pool.run(update)).toEqualTypeOf<RunResult>();
  expectTypeOf(await pool.query<City>(update)).toEqualTypeOf<StatementResult<City>>();
  expectTypeOf(await pool.batch([{ sql: update }])).toEqualTypeOf<StatementResult[]>();
  expectTypeOf(await pool.exec(update)).toEqualTypeOf<void>();
  expectTypeOf(await pool.runMany('INSERT INTO city (name) VALUES (?)', [['c']])).toEqualTypeOf<{
    changes: number;
  }>();
});

it('gives a transaction, a snapshot and a savepoint the type of what they return', async () => {
  const work = async (tx: Transaction) => (await tx.all<City>('SELECT * FROM city')).length;
  expectTypeOf(await pool.transaction(work)).toEqualTypeOf<number>();
  expectTypeOf(await pool.snapshot(work)).toEqualTypeOf<number>();
  const nested = await pool.transaction((tx) => tx.savepoint(async () => 'inner' as const));
  expectTypeOf(nested).toEqualTypeOf<'inner'>();
  const lease = await pool.lease('read');
  expectTypeOf(lease).toEqualTypeOf<Lease>();
  await lease.release();
});

it('takes what SQLite stores as parameters, and nothing else', () => {
  expectTypeOf(pool.run).toBeCallableWith('', [1, 'a', null, 2n, new Uint8Array(1)]);
  expectTypeOf(pool.run).toBeCallableWith('', { id: 1, name: Buffer.from('a') });
  const wrong = () => [
    // @ts-expect-error a boolean cannot be bound
    pool.run('', [true]),
    // @ts-expect-error nor a date
    pool.run('', { at: new Date() }),
    // @ts-expect-error nor undefined
    pool.run('', [undefined]),
    // @ts-expect-error params are an array or an object
    pool.run('', 5),
    // @ts-expect-error an unknown option
    createPool('', { reader: 2 }),
  ];
  expectTypeOf(wrong).toBeFunction();
  expectTypeOf<PoolOptions['integers']>().toEqualTypeOf<'number' | 'bigint' | 'auto' | undefined>();
});
