import { Tokens } from '../statements/tokens.js';

/** What SQLite calls the parameters of a statement, from 1 on: undefined for a plain `?`. */
type Names = readonly (string | undefined)[];

/** Values as node:sqlite takes them: those with names in an object, then the others in their order. */
type Bound = readonly unknown[];

const MOST_BIG = 2n ** 63n;
const NONE: Bound = [];

/** https://sqlite.org/lang_expr.html#varparam: the text alone tells how many there are, and their names. */
function namesOf(sql: string): Names {
  if (!/[?:@$#]/.test(sql)) return [];
  const names: (string | undefined)[] = [];
  const known = new Set<string>();
  const tokens = new Tokens(sql);
  while (tokens.next() !== 'end' && !(tokens.is(';') && names.length > 0)) {
    const text = sql.slice(tokens.start, tokens.end);
    if (text === '?') names.push(undefined);
    else if (tokens.type !== 'variable') continue;
    else if (text.startsWith('?')) {
      const index = Number(text.slice(1));
      while (names.length < index) names.push(undefined);
      names[index - 1] ??= text;
    } else if (!known.has(text)) {
      known.add(text);
      names.push(text);
    }
  }
  return names;
}

/**
 * Binds values as better-sqlite3 does, with its errors: node:sqlite takes for NULL what is missing,
 * for 1 what is true, and refuses undefined.
 */
export class Binder {
  readonly #sql: string;
  #names: Names | undefined;
  /** How many have a name; two of them may be one to the caller: `:a` and `@a`. */
  #named = 0;

  constructor(sql: string) {
    this.#sql = sql;
  }

  /** @param params one value for all: an array, a plain object, or a value. */
  bind(params: unknown): Bound {
    if (this.#names === undefined) {
      this.#names = namesOf(this.#sql);
      for (const name of this.#names) if (name !== undefined) this.#named++;
    }
    if (Array.isArray(params)) return this.#array(params);
    if (isPlainObject(params)) return this.#object(params);
    const isObject = typeof params === 'object' || typeof params === 'function';
    if (this.#named > 0 && isObject && params !== null && !isBlob(params)) {
      throw new TypeError('Named parameters can only be passed within plain objects');
    }
    return this.#array([params]);
  }

  #array(values: readonly unknown[]): Bound {
    const names = this.#names as Names;
    const anonymous = names.length - this.#named;
    let bound = values;
    const checked = Math.min(values.length, anonymous + 1);
    for (let i = 0; i < checked; i++) {
      const value = values[i];
      const type = typeof value;
      if (type !== 'string' && type !== 'number' && value !== null) {
        checkValue(value);
        if (value !== undefined) continue;
        if (bound === values) bound = [...values];
        (bound as unknown[])[i] = null;
      }
    }
    if (values.length > anonymous) {
      throw new RangeError('Too many parameter values were provided');
    }
    if (values.length < names.length) {
      if (this.#named > 0) throw new TypeError('Missing named parameters');
      throw new RangeError('Too few parameter values were provided');
    }
    return bound;
  }

  #object(values: Readonly<Record<string, unknown>>): Bound {
    const bound: Record<string, unknown> = {};
    const names = this.#names as Names;
    for (const full of names) {
      if (full === undefined) continue;
      const name = full.slice(1);
      if (!Object.hasOwn(values, name)) {
        throw new RangeError(`Missing named parameter "${name}"`);
      }
      const value = values[name];
      checkValue(value);
      bound[full] = value ?? null;
    }
    if (this.#named < names.length) {
      throw new RangeError('Too few parameter values were provided');
    }
    return this.#named === 0 ? NONE : [bound];
  }
}

function checkValue(value: unknown): void {
  switch (typeof value) {
    case 'string':
    case 'number':
    case 'undefined':
      return;
    case 'bigint':
      if (value < MOST_BIG && value >= -MOST_BIG) return;
      throw new RangeError('The bound string, buffer, or bigint is too big');
    case 'object':
      if (value === null || isBlob(value)) return;
  }
  throw new TypeError('SQLite3 can only bind numbers, strings, bigints, buffers, and null');
}

function isBlob(value: object): boolean {
  return ArrayBuffer.isView(value) && !(value instanceof DataView);
}

/** A prototype at the top of its chain, so that plain objects of other realms count. */
function isPlainObject(value: unknown): value is Readonly<Record<string, unknown>> {
  if (typeof value !== 'object' || value === null) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === null || Object.getPrototypeOf(prototype) === null;
}
