import type { Params } from '@poolite/core';

/** SQLite knows no booleans: TypeORM's own driver binds 1 and 0, and logs them so. */
export function normalized(parameters: unknown[]): unknown[] {
  if (!parameters.some((value) => typeof value === 'boolean')) return parameters;
  return parameters.map((value) => (typeof value === 'boolean' ? Number(value) : value));
}

/** A single plain object holds named values, as with better-sqlite3. */
export function toParams(values: readonly unknown[]): Params | undefined {
  if (values.length === 0) return undefined;
  const [first] = values;
  if (values.length === 1 && isPlain(first)) return first as Params;
  if (!values.includes(undefined)) return values.slice() as Params;
  return values.map((value) => (value === undefined ? null : value)) as Params;
}

function isPlain(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === null || prototype === Object.prototype;
}
