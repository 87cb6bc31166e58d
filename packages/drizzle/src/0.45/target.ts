import type { Pool, Statements, Transaction } from '@poolite/core';
import type { Logger } from 'drizzle-orm';
import type { Cache } from 'drizzle-orm/cache/core';

/** Where the queries of a session go: to the pool, or to one of its transactions. */
export interface Target {
  readonly pool: Pool;
  readonly statements: Statements;
  readonly transaction: Transaction | undefined;
  readonly logger: Logger | undefined;
  readonly cache: Cache | undefined;
  /**
   * The tables that a transaction has written to: what the cache holds of them is out of date once
   * it commits, and not before. Undefined outside of transactions.
   */
  readonly mutated: Set<string> | undefined;
}

export function poolTarget(
  pool: Pool,
  logger: Logger | undefined,
  cache: Cache | undefined,
): Target {
  return { pool, statements: pool, transaction: undefined, logger, cache, mutated: undefined };
}

/** The same inside a transaction, or inside a savepoint of the one that there is. */
export function transactionTarget(
  { pool, logger, cache }: Target,
  transaction: Transaction,
  mutated: Set<string>,
): Target {
  return { pool, statements: transaction, transaction, logger, cache, mutated };
}
