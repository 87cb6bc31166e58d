import type { BatchStatement, StatementResult } from '@poolite/core';
import type { Query } from 'drizzle-orm';
import { boundParams } from './params.js';
import { PooliteQuery, queryError } from './query.js';
import type { Target } from './target.js';

/** What a builder, and what `db.run`, `all`, `get` and `values` make, as a batch sees it. */
export interface Batchable {
  _prepare(): PreparedForBatch;
}

interface PreparedForBatch {
  /** Of a raw query, `method` is what it was made by. */
  getQuery(): Query & { method?: 'run' | 'all' | 'get' | 'values' };
  isResponseInArrayMode(): boolean;
  mapResult(result: StatementResult, isFromBatch: boolean): unknown;
}

/** Runs queries in one transaction and one trip: all of them take effect, or none. */
export async function runBatch(
  { pool, logger, cache }: Target,
  queries: readonly Batchable[],
): Promise<unknown[]> {
  const tables = new Set<string>();
  const statements: BatchStatement[] = [];
  const prepared = queries.map((query) => {
    const each = query._prepare();
    const { sql, params, method } = each.getQuery();
    const bound = boundParams(params);
    logger?.logQuery(sql, bound as unknown[]);
    const asArrays = method === 'values' || each.isResponseInArrayMode();
    statements.push({ sql, params: bound, rows: asArrays ? 'array' : 'object' });
    if (each instanceof PooliteQuery) for (const table of each.mutates) tables.add(table);
    return each;
  });
  const results = await pool.batch(statements).catch((cause: unknown) => {
    const { index = 0 } = cause as { index?: number };
    const { sql = '', params = [] } = statements[index] ?? {};
    throw queryError(sql, params, cause);
  });
  if (tables.size > 0) await cache?.onMutate({ tables: [...tables] });
  return results.map((result, i) => (prepared[i] as PreparedForBatch).mapResult(result, true));
}
