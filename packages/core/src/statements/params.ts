import { types } from 'node:util';
import type { Classification } from './classify.js';
import { notBindable, notParams, type ParameterLabel, transferred } from './refusals.js';

/** What SQLite stores: https://sqlite.org/datatype3.html. A Buffer is a Uint8Array. */
export type BindValue = null | number | bigint | string | Uint8Array;

/** What a caller may bind; views and array buffers are bound as the bytes they show. */
export type BindInput = BindValue | ArrayBufferView | ArrayBuffer;

/**
 * The values of a statement: an array for `?`, or a plain object for `:name`, `@name`, `$name` and
 * `?1` (whose name is `1`). An object may hold more than the statement names.
 */
export type Params = readonly BindInput[] | { readonly [name: string]: BindInput };

/** Params that were checked: they can be sent to a thread, and SQLite can bind each of them. */
export type BoundParams = readonly BindValue[] | { readonly [name: string]: BindValue } | undefined;

/**
 * Checks the values of a statement at the door. One that cannot be cloned would fail the whole
 * message it travels in, and better-sqlite3 takes `undefined` for NULL. The array itself comes
 * back when nothing in it must change, since this runs on every call; of an object only the names
 * in the SQL are kept, as better-sqlite3 ignores the others whatever they hold.
 */
export function checkParams(
  sql: string,
  params: unknown,
  statement: Pick<Classification, 'parameters'>,
): BoundParams {
  if (params === undefined) return undefined;
  if (!Array.isArray(params)) return checkNamed(sql, params, statement.parameters);
  // A proxy cannot be cloned, not even that of a harmless array.
  const values: readonly unknown[] = types.isProxy(params) ? [...params] : params;
  for (let index = 0; index < values.length; index++) {
    const value = values[index];
    const type = typeof value;
    if (type !== 'string' && type !== 'number' && value !== null && type !== 'bigint') {
      return checkRest(sql, values, index);
    }
  }
  return values as readonly BindValue[];
}

/**
 * The same params, safe from whatever the caller does with its array and its buffers next: they
 * travel at the end of the tick at the earliest. A blob's copy also leaves behind the buffer that
 * it may be a window on, which a clone would carry whole (Buffers share slabs of 8 KB).
 */
export function ownedParams(params: BoundParams): BoundParams {
  if (params === undefined) return undefined;
  if (Array.isArray(params)) {
    const owned: BindValue[] = [];
    for (let index = 0; index < params.length; index++) {
      owned.push(ownedValue(params[index] as BindValue));
    }
    return owned;
  }
  const named = params as { [name: string]: BindValue };
  // The object itself is the pool's own already.
  for (const name of Object.keys(named)) {
    const value = named[name] as BindValue;
    if (typeof value === 'object' && value !== null) named[name] = ownedValue(value);
  }
  return named;
}

function ownedValue(value: BindValue): BindValue {
  return typeof value === 'object' && value !== null ? new Uint8Array(value) : value;
}

function checkRest(sql: string, values: readonly unknown[], from: number): readonly BindValue[] {
  let bound = values;
  for (let index = from; index < values.length; index++) {
    const value = bindable(sql, index + 1, values[index]);
    if (Object.is(value, values[index])) continue;
    if (bound === values) bound = [...values];
    (bound as unknown[])[index] = value;
  }
  return bound as readonly BindValue[];
}

/** A property like one that an assignment makes: assigning to __proto__ would make none. */
const OWN = { configurable: true, enumerable: true, writable: true };

function checkNamed(
  sql: string,
  params: unknown,
  names: readonly string[] | undefined,
): BoundParams {
  if (!isPlainObject(params)) throw notParams(sql, params);
  const bound: Record<string, BindValue> = {};
  for (const name of names ?? []) {
    // A name that is missing is left out, so that SQLite's library says so in its own words.
    if (!Object.hasOwn(params, name)) continue;
    const value = bindable(sql, name, params[name]);
    if (name !== '__proto__') bound[name] = value;
    else Object.defineProperty(bound, name, { ...OWN, value });
  }
  return bound;
}

/** A prototype at the top of its chain, so that plain objects of other realms count. */
function isPlainObject(value: unknown): value is Readonly<Record<string, unknown>> {
  if (typeof value !== 'object' || value === null) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === null || Object.getPrototypeOf(prototype) === null;
}

function bindable(sql: string, label: ParameterLabel, value: unknown): BindValue {
  switch (typeof value) {
    case 'string':
    case 'number':
    case 'bigint':
      return value;
    case 'object':
      if (value === null) return null;
      if (ArrayBuffer.isView(value)) return viewed(sql, label, value);
      if (types.isArrayBuffer(value)) return viewed(sql, label, value);
  }
  throw notBindable(sql, label, value);
}

/** better-sqlite3 binds no DataView and no ArrayBuffer, but a Uint8Array over the same bytes. */
function viewed(
  sql: string,
  label: ParameterLabel,
  value: ArrayBufferView | ArrayBuffer,
): Uint8Array {
  try {
    if (value instanceof Uint8Array && value.byteLength > 0) return value;
    // Bytes that were transferred away leave an empty buffer behind, which cannot be cloned.
    const bytes = ArrayBuffer.isView(value)
      ? new Uint8Array(value.buffer, value.byteOffset, value.byteLength)
      : new Uint8Array(value);
    return value instanceof Uint8Array ? value : bytes;
  } catch (cause) {
    throw transferred(sql, label, cause);
  }
}
