import { afterAll, describe, expect, test } from 'vitest';
import { classify } from '../../src/statements/classify.js';
import { Reference } from '../support/reference.ts';

const database = new Reference(':memory:');
afterAll(() => database.close());

const PARAMETERS: readonly (readonly [sql: string, names: readonly string[] | undefined])[] = [
  ['SELECT 1', undefined],
  ['SELECT ?', undefined],
  ['SELECT ?, ?', undefined],
  ['SELECT :a', ['a']],
  ['SELECT :b, @a, $c, :b', ['b', 'a', 'c']],
  ['SELECT :a, @a, $a', ['a']],
  ['SELECT #h', ['h']],
  ['SELECT ?1, ?2, ?1', ['1', '2']],
  ['SELECT ?1, :a', ['1', 'a']],
  ['SELECT :1, $2', ['1', '2']],
  ['SELECT :é, @日本, $_x1, :a$b', ['é', '日本', '_x1', 'a$b']],
  ['SELECT :a+:b,:c||:d', ['a', 'b', 'c', 'd']],
  ['SELECT(:a)', ['a']],
  ["SELECT ':a', '@b'':c', :d", ['d']],
  ['SELECT 1 AS ":a", 2 AS [:b], 3 AS `:c`, :d', ['d']],
  ['SELECT 1 AS ":a"":b", :d', ['d']],
  ['SELECT :a -- :b\n, :c /* :d */', ['a', 'c']],
  ['SELECT :a /* :b', ['a']],
  ['SELECT :a --:b', ['a']],
  ["SELECT x'00', :a", ['a']],
  ['SELECT 1.5e3, :a', ['a']],
  ['SELECT 1 AS a$b', undefined],
  ['SELECT :a\0, :b', ['a']],
  ["SELECT '{}' ->> '$.a'", undefined],
  ['SELECT :__proto__, :toString', ['__proto__', 'toString']],
];

describe('the named parameters are those that better-sqlite3 asks for', () => {
  test.each(PARAMETERS)('%s', (sql, names) => {
    expect(classify(sql).parameters).toEqual(names);
    expect(askedFor(sql)).toEqual(names === undefined ? [] : [...names].sort());
  });

  // Without Tcl variables in the library these fail to prepare; with them these are the names.
  test.each([
    ['SELECT $a::b', ['a::b']],
    ['SELECT $a::b(c)', ['a::b(c)']],
    ['SELECT $::a, :b', ['::a', 'b']],
    ['SELECT :a(b, :c', ['a(b,', 'c']],
  ])('%s is refused', (sql, names) => {
    expect(() => database.prepare(sql)).toThrow(/unrecognized token|syntax error/);
    expect(classify(sql).parameters).toEqual(names);
  });

  test.each(['SELECT :', 'SELECT : a', 'SELECT @', 'SELECT $'])('%s has none', (sql) => {
    expect(classify(sql).parameters).toBeUndefined();
    expect(() => database.prepare(sql)).toThrow('unrecognized token');
  });

  test('reading them twice gives the same array', () => {
    const statement = classify('SELECT :a');
    expect(statement.parameters).toBe(statement.parameters);
  });
});

/** Names that better-sqlite3 misses, one by one, until the statement can be bound. */
function askedFor(sql: string): string[] {
  const statement = database.prepare(sql);
  const bound: Record<string, number> = Object.create(null);
  for (;;) {
    try {
      statement.bind(bound);
    } catch (error) {
      const missing = /^Missing named parameter "(.*)"$/s.exec((error as Error).message)?.[1];
      // Anonymous parameters are left when every named one has its value.
      if (missing !== undefined) {
        bound[missing] = 1;
        continue;
      }
    }
    return Object.keys(bound).sort();
  }
}
