import type { Pool } from '@poolite/core';
import {
  createTableRelationsHelpers,
  DefaultLogger,
  type DrizzleConfig,
  type ExtractTablesWithRelations,
  extractTablesRelationalConfig,
  type Logger,
  type RelationalSchemaConfig,
} from 'drizzle-orm';
import type { Cache, MutationOption } from 'drizzle-orm/cache/core';
import { SQLiteAsyncDialect } from 'drizzle-orm/sqlite-core';
import { openConfig, type PooliteDrizzleConfig } from './config.js';
import { PooliteDatabase } from './database.js';
import { PooliteSession } from './session.js';
import { poolTarget } from './target.js';

type Schema = Record<string, unknown>;

/**
 * Drizzle on a pool. It takes a pool, or the path of a database file, each with Drizzle's config
 * behind it; or one config with `pool` or `connection` in it. `db.$client` is the pool: close it
 * when your program ends.
 *
 * @throws PoolError POOL_OPTIONS for an option that is unknown, wrong or contradictory.
 *
 * @example
 * ```ts
 * import { createPool } from '@poolite/core';
 * import { drizzle } from '@poolite/drizzle';
 * import { integer, sqliteTable, text } from 'drizzle-orm/sqlite-core';
 *
 * const note = sqliteTable('note', { id: integer().primaryKey(), text: text().notNull() });
 *
 * await using pool = createPool(':memory:');
 * const db = drizzle(pool, { schema: { note } });
 * await db.run('CREATE TABLE note (id INTEGER PRIMARY KEY, text TEXT NOT NULL)');
 * await db.insert(note).values({ text: 'Hello' });
 * console.log(await db.query.note.findFirst()); // { id: 1, text: 'Hello' }
 * ```
 */
export function drizzle<TSchema extends Schema = Record<string, never>>(
  ...params:
    | [database: Pool | string]
    | [database: Pool | string, config: DrizzleConfig<TSchema>]
    | [config: PooliteDrizzleConfig<TSchema>]
): PooliteDatabase<TSchema> & {
  /** The pool: close it when your program ends. */
  $client: Pool;
} {
  const [pool, config] = openConfig(params[0], params[1]);
  return Object.assign(construct<TSchema>(pool, config), { $client: pool });
}

/** What `drizzle.mock()` returns: it builds queries, and runs none. */
export type MockDatabase<TSchema extends Schema> = PooliteDatabase<TSchema> & {
  /** There is no pool. */
  $client: '$client is not available on drizzle.mock()';
};

/** A database that builds queries, for `toSQL()` and the like, and runs none: it has no pool. */
drizzle.mock = <TSchema extends Schema = Record<string, never>>(
  config: DrizzleConfig<TSchema> = {},
): MockDatabase<TSchema> =>
  Object.assign(construct<TSchema>({} as Pool, config), {
    $client: '$client is not available on drizzle.mock()' as const,
  });

function construct<TSchema extends Schema>(
  pool: Pool,
  { casing, logger, schema, cache }: DrizzleConfig<Schema>,
): PooliteDatabase<TSchema> {
  const dialect = new SQLiteAsyncDialect(casing === undefined ? {} : { casing });
  const relational = schema && relationalSchema<TSchema>(schema);
  const target = poolTarget(pool, loggerOf(logger), cache);
  const session = new PooliteSession<TSchema, ExtractTablesWithRelations<TSchema>>(
    target,
    dialect,
    relational,
  );
  const db = new PooliteDatabase<TSchema>(dialect, session, relational);
  if (cache !== undefined) db.$cache = invalidating(cache);
  return db;
}

function relationalSchema<TSchema extends Schema>(
  fullSchema: Schema,
): RelationalSchemaConfig<ExtractTablesWithRelations<TSchema>> {
  const { tables, tableNamesMap } = extractTablesRelationalConfig<
    ExtractTablesWithRelations<TSchema>
  >(fullSchema, createTableRelationsHelpers);
  return { fullSchema, schema: tables, tableNamesMap };
}

function loggerOf(logger: boolean | Logger | undefined): Logger | undefined {
  if (typeof logger === 'boolean') return logger ? new DefaultLogger() : undefined;
  return logger;
}

/** The cache itself, with the method that Drizzle's documentation gives `db.$cache`. */
function invalidating(cache: Cache): Cache & { invalidate: Cache['onMutate'] } {
  const invalidate = (params: MutationOption) => cache.onMutate(params);
  return Object.assign(cache, { invalidate });
}
