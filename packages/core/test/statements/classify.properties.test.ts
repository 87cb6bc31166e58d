import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type BetterSqlite3 from 'better-sqlite3';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { classify } from '../../src/statements/classify.js';
import { Reference } from '../support/reference.ts';
import { CORPUS, KINDS } from './corpus.js';

const folder = mkdtempSync(join(tmpdir(), 'poolite-classify-'));
let writable: BetterSqlite3.Database;
let readonly: BetterSqlite3.Database;

beforeAll(() => {
  writable = new Reference(join(folder, 'test.db'));
  writable.pragma('journal_mode = WAL');
  writable.exec('CREATE TABLE t (a INTEGER PRIMARY KEY, b TEXT); CREATE TABLE "replace" (a)');
  writable.exec("INSERT INTO t VALUES (1, 'one'), (2, 'two'); CREATE INDEX i ON t (b)");
  readonly = new Reference(join(folder, 'test.db'), { readonly: true });
});

afterAll(() => {
  readonly.close();
  writable.close();
  rmSync(folder, { recursive: true });
});

const RUNS = Number(process.env.FC_RUNS ?? 400);

/** The seed is shown while running, so that a run that hangs can be repeated too. */
function check<T>(name: string, property: fc.IProperty<T> | fc.IProperty<[T]>): void {
  const seed = Number(process.env.FC_SEED ?? Date.now() % 2 ** 31);
  console.log(`${name}: FC_SEED=${seed}`);
  fc.assert(property as fc.IProperty<T>, { seed, numRuns: RUNS });
}

/** Anything that SQLite skips; the comments hold what would mislead. */
const gap = fc
  .array(
    fc.constantFrom(' ', '\n', '\t', '\f', '\r\n', '/* ; DELETE ( */', '/*/**/', "-- ' SELECT\n"),
    { minLength: 1, maxLength: 3 },
  )
  .map((parts) => parts.join(''));

const expression = fc.constantFrom(
  '1',
  'NULL',
  '?',
  ':a',
  "'DELETE'",
  "')'",
  "''''",
  "x'00'",
  '"b"',
  '[b]',
  '`b`',
  'b',
  "replace(b, ' INSERT ', '(')",
  '(SELECT max(a) FROM t)',
  'CASE WHEN a THEN b ELSE a END',
);
const table = fc.constantFrom(['t'], ['main', '.', 't'], ['"t"'], ['[t]']);

const select = fc
  .tuple(expression, table, expression)
  .map(([value, from, condition]) => [...['SELECT', value, 'FROM', ...from, 'WHERE', condition]]);
const write = fc.oneof(
  fc
    .tuple(table, expression)
    .map(([into, value]) => [
      ...['INSERT', 'OR', 'IGNORE', 'INTO', ...into, '(', 'b', ')'],
      ...['SELECT', value, 'FROM', 't'],
    ]),
  fc.tuple(table, expression).map(([into, value]) => ['UPDATE', ...into, 'SET', 'b', '=', value]),
  fc.tuple(table, expression).map(([from, value]) => ['DELETE', 'FROM', ...from, 'WHERE', value]),
  table.map((into) => ['REPLACE', 'INTO', ...into, 'SELECT', 'a', ',', 'b', 'FROM', 't']),
);
const cteName = fc.constantFrom('c', 'replace', 'with', '"insert"', '[delete]', '`select`', 'asc');
const ctes = fc
  .uniqueArray(fc.tuple(cteName, fc.constantFrom([], ['MATERIALIZED'], ['NOT', 'MATERIALIZED'])), {
    selector: ([name]) => name,
    minLength: 1,
    maxLength: 3,
  })
  .chain((list) =>
    fc
      .tuple(fc.boolean(), fc.boolean(), fc.array(select, { minLength: 3, maxLength: 3 }))
      .map(([recursive, columns, bodies]) =>
        list.flatMap(([name, materialized], index) => [
          ...(index > 0 ? [','] : recursive ? ['WITH', 'RECURSIVE'] : ['WITH']),
          ...[name, ...(columns ? ['(', '"x)"', ')'] : []), 'AS', ...materialized],
          ...['(', ...(bodies[index] ?? []), ')'],
        ]),
      ),
  );
const words = fc.oneof(
  select,
  write,
  fc.constant(['VALUES', '(', '1', ')']),
  fc.tuple(ctes, fc.oneof(select, write)).map(([list, body]) => [...list, ...body]),
);

/** Words with a gap between each two, and letters outside quotes in either case. */
const statement = words.chain((list) =>
  fc
    .tuple(
      fc.array(gap, { minLength: list.length + 1, maxLength: list.length + 1 }),
      fc.array(fc.boolean(), { minLength: list.length, maxLength: list.length }),
    )
    .map(([gaps, lower]) =>
      list.reduce((sql, word, at) => sql + cased(word, lower[at]) + gaps[at + 1], gaps[0] ?? ''),
    ),
);

function cased(word: string, lower: boolean | undefined): string {
  return lower && /^[A-Z]+$/.test(word) ? word.toLowerCase() : word;
}

test('SQLite calls those statements read-only that are classified as reads', () => {
  check(
    'generated statements',
    fc.property(statement, (sql) => {
      const prepared = writable.prepare(sql);
      expect(classify(sql).kind).toBe(prepared.readonly ? 'read' : 'write');
      expect(prepared.readonly).toBe(prepared.reader);
      if (prepared.readonly) readAll(sql);
    }),
  );
});

test('every read of the corpus runs on a read-only connection', () => {
  for (const sql of KINDS.read) readAll(sql);
});

function readAll(sql: string): void {
  const anonymous = sql.includes('?') ? Array(sql.split('?').length - 1).fill(1) : [];
  const named = classify(sql).parameters === undefined ? [] : [{ a: 1 }];
  readonly.prepare(sql).all(...anonymous, ...named);
}

test('blanks, comments and the case of letters change nothing', () => {
  const parts = CORPUS.filter(({ sql }) => /^[A-Za-z_ ]+$/.test(sql));
  check(
    'spelling',
    fc.property(fc.constantFrom(...parts), fc.array(gap), fc.nat(), ({ kind, sql }, gaps, mask) => {
      const letters = [...sql].map((letter, at) => {
        if (letter === ' ') return gaps[at % (gaps.length || 1)] ?? ' ';
        return (mask >> (at % 31)) & 1 ? letter.toLowerCase() : letter.toUpperCase();
      });
      const spelled = `${gaps.join(';')}${letters.join('')}${gaps.join('')};`;
      expect(classify(spelled).kind).toBe(kind);
    }),
  );
});

test('no text is too strange to classify', () => {
  const odd = fc.constantFrom(
    ...["'", '"', '`', '[', ']', '(', ')', '/*', '*/', '--', '\n', ';', ':', '::', '$', '@', '#'],
    ...['?', '?1', 'a', ' ', '\0', '\uFEFF', '\uD800', 'WITH', 'AS', 'SELECT', 'DELETE', '.', 'é'],
    ...['ROLLBACK', 'PRAGMA', 'EXPLAIN', 'TO', 'BEGIN', 'main', 'table_info', '=', 'x'],
  );
  const text = fc.oneof(
    fc.string({ unit: 'binary' }),
    fc.array(odd).map((list) => list.join('')),
  );
  check(
    'any text',
    fc.property(text, (sql) => {
      const { kind, mayRollback, parameters } = classify(sql);
      expect(KINDS).toHaveProperty([kind]);
      expect(mayRollback).toBeTypeOf('boolean');
      expect(parameters ?? ['']).not.toHaveLength(0);
      expect(kind === 'empty').toBe(/contains no statements/.test(prepareError(sql)));
    }),
  );
});

function prepareError(sql: string): string {
  try {
    readonly.prepare(sql);
    return '';
  } catch (error) {
    return (error as Error).message;
  }
}
