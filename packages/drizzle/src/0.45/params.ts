import type { Params } from '@poolite/core';
import { fillPlaceholders } from 'drizzle-orm';

const NONE: Record<string, unknown> = {};

/**
 * The values of a query as SQLite binds them. Columns encode theirs; what stands in `sql` templates
 * comes as it is, where libsql takes booleans and dates too.
 */
export function boundParams(params: unknown[], placeholders = NONE): Params {
  for (const value of params) {
    if (typeof value !== 'object' && typeof value !== 'boolean') continue;
    if (value !== null) return fillPlaceholders(params, placeholders).map(bound) as Params;
  }
  return params as Params;
}

function bound(value: unknown): unknown {
  if (typeof value === 'boolean') return value ? 1 : 0;
  return value instanceof Date ? value.getTime() : value;
}
