import type { StatementResult } from '@poolite/core';
import { QueryResult } from 'typeorm/query-runner/QueryResult.js';
import type { Route } from './route.js';

/** Rows as TypeORM has them of a SELECT. */
export function rowsResult(rows: unknown[]): QueryResult {
  const result = new QueryResult();
  result.raw = rows;
  result.records = rows;
  return result;
}

/** As better-sqlite3 gives it: rows from what returns rows, else counts. */
export function toResult(route: Route, statement: StatementResult<unknown>): QueryResult {
  const { rows, changes, lastInsertRowid } = statement;
  if (route.returnsRows || rows.length > 0) return rowsResult(rows);
  const result = new QueryResult();
  result.affected = Number(changes);
  result.raw = exact(lastInsertRowid);
  return result;
}

/** TypeORM calculates with it: a bigint is left only where a number would not be exact. */
function exact(rowid: number | bigint): number | bigint {
  const number = Number(rowid);
  return Number.isSafeInteger(number) ? number : rowid;
}
