import { createPool, type Pool } from '@poolite/core';
import { PooliteDialect, type PooliteDialectConfig } from '@poolite/kysely';
import { type Dialect, Kysely } from 'kysely';
import { expectTypeOf, test } from 'vitest';
import type { Tables } from './support/db.ts';

test('the config is a pool, a factory, or the path of a database', () => {
  expectTypeOf<{ pool: Pool }>().toExtend<PooliteDialectConfig>();
  expectTypeOf<{ pool: () => Pool }>().toExtend<PooliteDialectConfig>();
  expectTypeOf<{ pool: () => Promise<Pool> }>().toExtend<PooliteDialectConfig>();
  expectTypeOf<{ database: string; synchronous: 'full' }>().toExtend<PooliteDialectConfig>();
  expectTypeOf<{ database: Pool }>().not.toExtend<PooliteDialectConfig>();
  expectTypeOf<{ pool: Pool; database: string }>().not.toExtend<PooliteDialectConfig>();
  expectTypeOf<object>().not.toExtend<PooliteDialectConfig>();
  expectTypeOf<ConstructorParameters<typeof PooliteDialect>>().toEqualTypeOf<
    [config: PooliteDialectConfig]
  >();
});

test('it is a dialect, and rows keep their types', () => {
  expectTypeOf<PooliteDialect>().toExtend<Dialect>();
  const db = new Kysely<Tables>({ dialect: new PooliteDialect({ pool: () => createPool('') }) });
  const query = db.selectFrom('account').select(['id', 'name']);
  expectTypeOf(query.execute).returns.resolves.toEqualTypeOf<{ id: number; name: string }[]>();
});
