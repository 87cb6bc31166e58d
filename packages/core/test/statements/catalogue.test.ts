import { expect, test } from 'vitest';
import { Catalogue } from '../../src/statements/catalogue.js';

const catalogueOf = () => new Catalogue(() => {});

/** As often as proves a statement quick at first. */
function prove(catalogue: Catalogue, sql: string): void {
  for (let i = 0; i < 2; i++) catalogue.get(sql).ran(10, 1);
}

test.each([
  ['SELECT * FROM t WHERE id = 1', 'SELECT * FROM t WHERE id = 23'],
  ['SELECT * FROM t WHERE a IN (1,2,3)', 'SELECT * FROM t WHERE a IN (10,20,30)'],
  ['SELECT * FROM t WHERE a > 1.5 LIMIT 10', 'SELECT * FROM t WHERE a > 22 LIMIT 5'],
  ['SELECT * FROM t WHERE a = -1', 'SELECT * FROM t WHERE a = -17'],
])('what one text is known for, one that differs in its numbers is known for: %s', (one, other) => {
  const catalogue = catalogueOf();
  expect(catalogue.get(other).cheap).toBe(false);
  prove(catalogue, one);
  expect(catalogue.get(other).cheap).toBe(true);
  expect(catalogue.get(other).microseconds).toBe(10);
  catalogue.get(one).ran(50_000, 1);
  expect(catalogue.get(other).cheap).toBe(false);
});

test.each([
  ['SELECT * FROM t1', 'SELECT * FROM t2'],
  ['SELECT * FROM "1"', 'SELECT * FROM "2"'],
  ['SELECT * FROM [1]', 'SELECT * FROM [2]'],
  ['SELECT a FROM t WHERE a = ?1', 'SELECT b FROM t WHERE a = ?1'],
  ['SELECT a FROM t WHERE a = 1', 'SELECT a FROM t WHERE a = 1 OR a = 2'],
  ['SELECT a FROM t WHERE a = @p1', 'SELECT a FROM t WHERE b = @p1'],
  ['SELECT 1 AS é1', 'SELECT 1 AS é2'],
])('texts that differ in more have nothing in common: %s', (one, other) => {
  const catalogue = catalogueOf();
  prove(catalogue, one);
  expect(catalogue.get(one).cheap).toBe(true);
  expect(catalogue.get(other).cheap).toBe(false);
});

test('a slow run makes the next proof longer, until many quick ones have followed', () => {
  const statement = catalogueOf().get('SELECT 1');
  /** How many quick runs it takes until it is taken for quick. */
  const proof = () => {
    let runs = 0;
    for (; !statement.cheap; runs++) statement.ran(10, 1);
    return runs;
  };
  const slow = () => statement.ran(1500, 1);
  expect(proof()).toBe(2);
  slow();
  // Its average must come down, too.
  expect(proof()).toBeGreaterThanOrEqual(8);
  slow();
  expect(proof()).toBeGreaterThanOrEqual(32);
  for (let runs = 0; runs < 2 * 256; runs++) statement.ran(10, 1);
  slow();
  expect(proof()).toBeLessThan(32);
});

test('what explains is never taken for quick', () => {
  const catalogue = catalogueOf();
  prove(catalogue, 'EXPLAIN SELECT 1');
  expect(catalogue.get('EXPLAIN SELECT 2').cheap).toBe(false);
});

test('kinds of texts are forgotten, too, where there are too many', () => {
  const catalogue = catalogueOf();
  prove(catalogue, 'SELECT 1 AS kept');
  for (let i = 0; i < 3000; i++) catalogue.get(`SELECT 1 AS c${i}`);
  expect(catalogue.get('SELECT 2 AS kept').cheap).toBe(false);
  expect(catalogue.size).toBeLessThanOrEqual(1000);
});
