import type { RunResult, StatementResult } from '@poolite/core';
import type { QueryResult } from 'kysely';
import type { Route } from './route.js';

/** The result as Kysely's SqliteDialect gives it: rows, or counts as bigints. */
export function queryResult<R>(route: Route, result: StatementResult<R>): QueryResult<R> {
  const { rows, changes, lastInsertRowid } = result;
  if (route.kind === 'read' || route.returning || rows.length > 0) return { rows };
  return { insertId: BigInt(lastInsertRowid), numAffectedRows: BigInt(changes), rows };
}

/** What a write tells its own session through `last_insert_rowid()` and `changes()`. */
export type LastWrite = RunResult;
