import { types } from 'node:util';
import { PoolError, shorten } from '../errors.js';

/** A position counted from 1, or a name. */
export type ParameterLabel = string | number;

/** The refusal of a value; it keeps better-sqlite3's own sentence, which people search for. */
export function notBindable(sql: string, label: ParameterLabel, value: unknown): PoolError {
  const problem = `${parameter(label)} is ${describe(value)}`;
  const rule = 'SQLite3 can only bind numbers, strings, bigints, buffers, and null';
  return misuse(sql, `${problem}. ${rule}: ${wayOut(value)}`);
}

/** The refusal of a buffer that was given to another thread. */
export function transferred(sql: string, label: ParameterLabel, cause: unknown): PoolError {
  const problem = `${parameter(label)} is a buffer whose bytes were transferred elsewhere`;
  return misuse(sql, `${problem}: bind it before that, or bind a copy`, { cause });
}

/** The refusal of what is neither an array nor a plain object. */
export function notParams(sql: string, params: unknown): PoolError {
  const problem = `The parameters are ${describe(params)}`;
  const named = 'Named parameters can only be passed within plain objects';
  if (typeof params === 'function' || typeof params === 'symbol') {
    return misuse(sql, `${problem}: pass an array, or a plain object of named values`);
  }
  if (types.isMap(params)) {
    return misuse(sql, `${problem}. ${named}: pass Object.fromEntries(map)`);
  }
  if (isOneValue(params)) {
    return misuse(sql, `${problem}: wrap it in an array: [${element(params)}]`);
  }
  return misuse(sql, `${problem}. ${named}: pass a copy, { ...value }`);
}

function isOneValue(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return true;
  return types.isDate(value) || ArrayBuffer.isView(value) || types.isAnyArrayBuffer(value);
}

/** How to write `value` in an array. The text of a string stays out of messages, and so of logs. */
function element(value: unknown): string {
  if (typeof value === 'bigint') return `${value}n`;
  if (typeof value === 'number' || value === null) return String(value);
  if (typeof value === 'boolean') return value ? '1' : '0';
  return types.isDate(value) ? 'date.toISOString()' : 'value';
}

function misuse(sql: string, message: string, options: { cause?: unknown } = {}): PoolError {
  return new PoolError('POOL_MISUSE', `${message} (in: ${shorten(sql)})`, options);
}

function parameter(label: ParameterLabel): string {
  return typeof label === 'number' ? `Parameter ${label}` : `Parameter "${label}"`;
}

function describe(value: unknown): string {
  if (value === null || value === undefined) return String(value);
  if (typeof value !== 'object') return `a ${typeof value}`;
  if (Array.isArray(value)) return 'an array';
  const name = className(value);
  return name === 'Object' ? 'an object' : `an object of class ${name}`;
}

function className(value: object): string {
  try {
    const name: unknown = value.constructor?.name;
    return typeof name === 'string' && name !== '' ? name : 'Object';
  } catch {
    return 'Object';
  }
}

function wayOut(value: unknown): string {
  if (value === undefined) return 'pass null for NULL';
  if (typeof value === 'boolean') return `bind ${value ? 1 : 0} for ${value}`;
  if (typeof value === 'function') return 'pass what it returns';
  if (typeof value === 'symbol') return 'pass its description';
  if (types.isDate(value)) return 'pass .toISOString() or .getTime()';
  if (types.isPromise(value)) return 'await it first';
  if (types.isSharedArrayBuffer(value)) return 'pass a Uint8Array over it';
  if (types.isBoxedPrimitive(value)) return 'pass .valueOf()';
  if (Array.isArray(value)) return 'bind its elements one by one, or JSON.stringify() it';
  return 'pass one of its properties, or JSON.stringify() it';
}
