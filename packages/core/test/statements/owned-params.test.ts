import { describe, expect, test } from 'vitest';
import { classify } from '../../src/statements/classify.js';
import { checkParams, ownedParams } from '../../src/statements/params.js';

function check(params: unknown, sql = 'INSERT INTO t VALUES (?, :a, :b)') {
  return checkParams(sql, params, classify(sql));
}

describe('owned params', () => {
  test('keep their values when the caller changes its array', () => {
    const params = [1, 'a', null];
    const owned = ownedParams(check(params));
    params[0] = 2;
    expect(owned).toEqual([1, 'a', null]);
  });

  test('keep their bytes when the caller changes its buffer', () => {
    const [first, second] = [Buffer.from('some text'), Buffer.from('other')];
    const array = ownedParams(check([first]));
    const named = ownedParams(check({ a: second, b: 1 }));
    first.fill(0);
    second.fill(0);
    expect(array).toEqual([new Uint8Array(Buffer.from('some text'))]);
    expect(named).toEqual({ a: new Uint8Array(Buffer.from('other')), b: 1 });
  });

  test.each([
    ['a Buffer of the slab', Buffer.from('some text')],
    ['a window', new Uint8Array([0, 1, 2, 3]).subarray(1, 3)],
    ['an empty window', new Uint8Array(4).subarray(4)],
  ])('carry of %s no more than it shows', (_, view) => {
    const [copy] = ownedParams(check([view])) as Uint8Array[];
    expect(copy?.buffer.byteLength).toBe(view.byteLength);
  });

  test('keep a name like __proto__', () => {
    const sql = 'SELECT :__proto__';
    const params = Object.defineProperty({}, '__proto__', { value: Buffer.from('x') });
    const owned = ownedParams(check(params, sql));
    expect(Object.entries(owned ?? {})).toEqual([['__proto__', new Uint8Array([120])]]);
  });

  test('that are absent stay absent', () => {
    expect(ownedParams(undefined)).toBeUndefined();
  });
});
