import { expect, test } from 'vitest';
import { classify } from '../../src/statements/classify.js';
import { CORPUS } from './corpus.js';

test.each(CORPUS)('$kind: $sql', ({ kind, sql }) => {
  expect(classify(sql).kind).toBe(kind);
});

test.each([
  ['BEGIN', 'deferred'],
  ['BEGIN DEFERRED', 'deferred'],
  ['BEGIN TRANSACTION', 'deferred'],
  ['BEGIN IMMEDIATE TRANSACTION', 'immediate'],
  ['begin /* now */ Exclusive', 'exclusive'],
  ['SELECT 1', undefined],
  ['COMMIT', undefined],
])('%s begins %s', (sql, behavior) => {
  expect(classify(sql).behavior).toBe(behavior);
});

test.each([
  ['PRAGMA foreign_keys = OFF', 'foreign_keys'],
  ['pragma Foreign_Keys(0)', 'foreign_keys'],
  ['/* why */ PRAGMA main . "cache_size" = 10', 'cache_size'],
  ['; -- why\nPRAGMA [query_only]=1', 'query_only'],
  ['EXPLAIN PRAGMA synchronous = 0', 'synchronous'],
  ['PRAGMA foreign_keys', undefined],
  ['PRAGMA wal_checkpoint(TRUNCATE)', undefined],
  ['PRAGMA user_version = 3', undefined],
  ["ATTACH 'PRAGMA foreign_keys = 0' AS x", undefined],
  ['SELECT foreign_keys FROM pragma_foreign_keys', undefined],
])('%s changes the setting %s', (sql, setting) => {
  expect(classify(sql).setting).toBe(setting);
});

test.each([
  ['CREATE TEMP TABLE u (a)', true],
  ['DROP INDEX i', true],
  ['ALTER TABLE t RENAME TO u', true],
  ['ANALYZE', true],
  ['REINDEX', true],
  ['VACUUM', true],
  ["ATTACH 'x' AS x", true],
  ['DETACH x', true],
  ['PRAGMA writable_schema = 1', true],
  ['nonsense', true],
  ['SELECT 1', false],
  ['INSERT INTO t VALUES (1)', false],
  ['WITH a AS (SELECT 1) DELETE FROM t', false],
  ['PRAGMA table_info(t)', false],
  ['EXPLAIN CREATE TABLE u (a)', false],
  ['BEGIN', false],
])('whether the schema may change by %s: %s', (sql, schema) => {
  expect(classify(sql).schema).toBe(schema);
});

test.each([
  ['INSERT OR ROLLBACK INTO t VALUES (1)', true],
  ['CREATE TABLE u (a UNIQUE ON CONFLICT rollback)', true],
  ["CREATE TRIGGER r AFTER INSERT ON t BEGIN SELECT RAISE(ROLLBACK, 'no'); END", true],
  ['ROLLBACK', true],
  ['PRAGMA defer_foreign_keys = ON', true],
  ['PRAGMA "Defer_Foreign_Keys" = ON', true],
  ["INSERT INTO t VALUES ('ROLLBACK')", false],
  ["INSERT INTO t VALUES ('it''s ROLLBACK') /* ROLLBACK */ -- ROLLBACK", false],
  ['SELECT "rollback", [rollback], `rollback`, rollbacks FROM t', false],
  ['INSERT INTO t VALUES (:rollback)', false],
  ['INSERT OR ABORT INTO t VALUES (1)', false],
])('whether %s may roll back: %s', (sql, mayRollback) => {
  expect(classify(sql).mayRollback).toBe(mayRollback);
});

test.each([
  "'",
  '"a""',
  '[',
  '(',
  '/*',
  '/* */',
  '--\n',
  '$a(',
  ':a::',
  '::',
  '?1',
  ';',
  'a',
  '1',
  'ROLLBACKS ',
  '\uFEFF',
  ') AS ',
])('the time grows with the length of the text, not faster: %j', (part) => {
  const whole = (length: number) => {
    const sql = `WITH a AS (SELECT 1) ${part.repeat(length / part.length)} rollbacks :z`;
    const from = process.cpuUsage();
    const { kind, mayRollback, parameters } = classify(sql);
    expect([kind, mayRollback, parameters]).toHaveLength(3);
    const used = process.cpuUsage(from);
    return (used.user + used.system) / 1000;
  };
  whole(100_000);
  // Quadratic time would take hours for this many characters.
  expect(whole(4_000_000)).toBeLessThan(4000);
});

test('of a long statement only the head is read for the kind', () => {
  const sql = `INSERT INTO t (b) VALUES ${"('abcdef'), ".repeat(1_000_000)}('')`;
  classify(sql);
  const from = process.cpuUsage();
  for (let round = 0; round < 10; round++) expect(classify(sql).kind).toBe('write');
  // Reading it would take more than this ten times over.
  expect(process.cpuUsage(from).user / 1000).toBeLessThan(100);
});
