import { runInNewContext } from 'node:vm';
import { describe, expect, test } from 'vitest';
import { PoolError } from '../../src/errors.js';
import { classify } from '../../src/statements/classify.js';
import { checkParams } from '../../src/statements/params.js';
import { Reference } from '../support/reference.ts';

const SQL = 'INSERT INTO t VALUES (?, :a, :b)';

function check(params: unknown, sql = SQL) {
  return checkParams(sql, params, classify(sql));
}

function refusal(params: unknown, sql = SQL): PoolError {
  try {
    check(params, sql);
  } catch (error) {
    expect(error).toBeInstanceOf(PoolError);
    expect(error).toMatchObject({ code: 'POOL_MISUSE', retryable: false });
    return error as PoolError;
  }
  throw new Error('nothing was refused');
}

describe('an array', () => {
  test.each([
    [[]],
    [['a', '', '\0', '\uD800']],
    [[0, -0, 1.5, Number.NaN, Number.POSITIVE_INFINITY]],
    [[1n, 2n ** 64n]],
    [[null]],
    [[new Uint8Array(2), Buffer.from('ab'), Buffer.alloc(0), Number.NaN]],
    [[new Uint8Array(new SharedArrayBuffer(2))]],
    [Object.freeze(['a', new Uint8Array(2)])],
  ])('of values that SQLite stores comes back itself: %o', (params) => {
    expect(check(params)).toBe(params);
  });

  test('that is absent stays absent', () => {
    expect(check(undefined)).toBeUndefined();
  });

  test.each([
    [new ArrayBuffer(2)],
    [new Uint16Array(1)],
    [new Int8Array(2)],
    [new Float32Array([0, 1, 2]).subarray(1, 2)],
    [new DataView(new ArrayBuffer(8), 2, 3)],
    [runInNewContext('new Uint8Array([7, 8])')],
    [runInNewContext('new ArrayBuffer(3)')],
  ])('binds the bytes of %o, in a new array', (value) => {
    const params = ['x', value, 1];
    const bound = check(params) as unknown[];
    expect(bound).not.toBe(params);
    expect(params[1]).toBe(value);
    expect(bound).toEqual(['x', expect.any(Uint8Array), 1]);
    const bytes = bound[1] as Uint8Array;
    expect(bytes.buffer).toBe(value.buffer ?? value);
    expect([bytes.byteOffset, bytes.byteLength]).toEqual([value.byteOffset ?? 0, value.byteLength]);
  });

  test.each([
    [undefined, 'is undefined', 'pass null for NULL'],
    [true, 'is a boolean', 'bind 1 for true'],
    [false, 'is a boolean', 'bind 0 for false'],
    [new Date(), 'is an object of class Date', 'pass .toISOString() or .getTime()'],
    [() => 1, 'is a function', 'pass what it returns'],
    [Symbol('s'), 'is a symbol', 'pass its description'],
    [{}, 'is an object', 'JSON.stringify()'],
    [[1], 'is an array', 'bind its elements one by one'],
    [Promise.resolve(), 'is an object of class Promise', 'await it first'],
    [new Map(), 'is an object of class Map', 'pass one of its properties'],
    [Object('text'), 'is an object of class String', 'pass .valueOf()'],
    [new SharedArrayBuffer(2), 'is an object of class SharedArrayBuffer', 'pass a Uint8Array'],
    [new Proxy(new Uint8Array(2), {}), 'is an object', 'pass one of its properties'],
    [{ constructor: { name: 5 } }, 'is an object.', 'pass one of its properties'],
    [Object.create(null), 'is an object.', 'pass one of its properties'],
  ])('with %o is refused', (value, what, wayOut) => {
    const { message } = refusal(['fine', value]);
    expect(message).toContain(`Parameter 2 ${what}`);
    expect(message).toContain(wayOut);
    expect(message).toContain('SQLite3 can only bind numbers, strings, bigints, buffers, and null');
    expect(message).toContain(SQL);
  });

  test('with a value whose class cannot be told is refused all the same', () => {
    const nasty = Object.defineProperty({}, 'constructor', {
      get() {
        throw new Error('mine');
      },
    });
    expect(refusal([nasty]).message).toContain('Parameter 1 is an object');
  });

  test('with a hole is refused as with undefined', () => {
    const sparse = ['a', 'b'];
    delete sparse[0];
    expect(refusal(sparse).message).toContain('Parameter 1 is undefined');
  });

  test.each([
    ['ArrayBuffer', (bytes: Uint8Array) => bytes.buffer],
    ['Uint8Array', (bytes: Uint8Array) => bytes],
    ['DataView', (bytes: Uint8Array) => new DataView(bytes.buffer)],
  ])('with a %s that was transferred is refused, as it cannot be cloned', (_, of) => {
    const bytes = new Uint8Array(4);
    const value = of(bytes);
    structuredClone(bytes.buffer, { transfer: [bytes.buffer] });
    const error = refusal([value]);
    expect(error.message).toContain('Parameter 1 is a buffer whose bytes were transferred');
    expect(error.cause).toBeInstanceOf(TypeError);
  });

  test('behind a proxy comes back as one that can be cloned', () => {
    const bound = check(new Proxy([1, 'a'], {}));
    expect(structuredClone(bound)).toEqual([1, 'a']);
  });

  test('in a long statement is refused in a short message', () => {
    const long = `SELECT '${'x'.repeat(5000)}'`;
    expect(refusal([true], long).message.length).toBeLessThan(500);
  });
});

describe('an object', () => {
  test('is copied, and only what the statement names is looked at', () => {
    const params = { a: 1, b: 'x', c: new Date(), d: undefined, e: () => 1 };
    const bound = check(params);
    expect(bound).toEqual({ a: 1, b: 'x' });
    expect(bound).not.toBe(params);
  });

  test.each([
    ['a null prototype', Object.assign(Object.create(null), { a: 1, b: 2 })],
    ['the prototype of another realm', runInNewContext('({ a: 1, b: 2 })')],
    ['a proxy', new Proxy({ a: 1, b: 2 }, {})],
    ['a getter', Object.defineProperty({ b: 2 }, 'a', { get: () => 1 })],
  ])('with %s counts as plain', (_, params) => {
    expect(structuredClone(check(params))).toEqual({ a: 1, b: 2 });
  });

  test('is taken for a statement without names too, and better-sqlite3 judges', () => {
    expect(check({ a: 1 }, 'SELECT ?')).toEqual({});
  });

  test('may number its values', () => {
    expect(check({ 1: 'x', 2: 'y' }, 'SELECT ?1, ?2')).toEqual({ 1: 'x', 2: 'y' });
  });

  test('gives bytes for a view', () => {
    expect(check({ a: new Uint16Array([1]), b: 1 })).toEqual({ a: new Uint8Array([1, 0]), b: 1 });
  });

  test('that throws from a getter throws its own error', () => {
    const mine = new Error('mine');
    const params = {
      get a() {
        throw mine;
      },
    };
    expect(() => check(params)).toThrow(mine);
  });

  test.each([
    [{ a: undefined }, 'Parameter "a" is undefined', 'pass null'],
    [{ a: 1, b: true }, 'Parameter "b" is a boolean', 'bind 1'],
    [{ a: new Date() }, 'Parameter "a" is an object of class Date', '.getTime()'],
  ])('%o is refused', (params, what, wayOut) => {
    const { message } = refusal(params);
    expect(message).toContain(what);
    expect(message).toContain(wayOut);
  });
});

describe('what better-sqlite3 says of names', () => {
  const database = new Reference(':memory:');
  const read = (sql: string, params: unknown) =>
    database
      .prepare(sql)
      .pluck()
      .get(structuredClone(check(params, sql)));

  test('one that is missing is its own error', () => {
    expect(() => read('SELECT :a + :b', { a: 1 })).toThrow('Missing named parameter "b"');
  });

  test('one that is inherited is missing', () => {
    expect(() => read('SELECT :toString', {})).toThrow('Missing named parameter "toString"');
    expect(() => read('SELECT :__proto__', {})).toThrow('Missing named parameter "__proto__"');
  });

  test('__proto__ is a name like another', () => {
    const params = JSON.parse('{ "__proto__": 5, "constructor": 6 }');
    expect(read('SELECT :__proto__ + @constructor', params)).toBe(11);
    expect(Object.getPrototypeOf(check(params, 'SELECT :__proto__'))).toBe(Object.prototype);
  });

  test('bytes arrive as they were', () => {
    const view = new Float64Array([1.5, 2.5]);
    const bytes = read('SELECT :a', { a: view.subarray(1) });
    expect(bytes).toEqual(Buffer.from(view.buffer, 8));
  });

  test('a DataView arrives too, which it does not take itself', () => {
    const view = new DataView(new ArrayBuffer(3));
    expect(() => database.prepare('SELECT ?').get([view])).toThrow();
    expect(read('SELECT ?', [view])).toEqual(Buffer.alloc(3));
  });
});

class Row {
  a = 1;
}

test.each([
  [5, 'a number', 'wrap it in an array: [5]'],
  [5n, 'a bigint', 'wrap it in an array: [5n]'],
  [null, 'null', 'wrap it in an array: [null]'],
  [true, 'a boolean', 'wrap it in an array: [1]'],
  ['secret', 'a string', 'wrap it in an array: [value]'],
  [new Date(), 'an object of class Date', 'wrap it in an array: [date.toISOString()]'],
  [new Uint8Array(2), 'an object of class Uint8Array', 'wrap it in an array: [value]'],
  [new ArrayBuffer(2), 'an object of class ArrayBuffer', 'wrap it in an array: [value]'],
  [() => 1, 'a function', 'pass an array, or a plain object'],
  [Symbol('s'), 'a symbol', 'pass an array, or a plain object'],
  [new Map(), 'an object of class Map', 'within plain objects: pass Object.fromEntries(map)'],
  [new Set(), 'an object of class Set', 'Named parameters can only be passed within plain objects'],
  [new Row(), 'an object of class Row', 'Named parameters can only be passed within plain objects'],
  [Object.create({ a: 1 }), 'an object', 'within plain objects: pass a copy, { ...value }'],
])('%o in place of params is refused', (params, what, wayOut) => {
  const { message } = refusal(params);
  expect(message).toContain(`The parameters are ${what}`);
  expect(message).toContain(wayOut);
  expect(message).not.toContain('secret');
  expect(message).toContain(SQL);
});
