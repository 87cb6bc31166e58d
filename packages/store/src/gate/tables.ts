import type { DatabaseSync } from 'node:sqlite';
import { misuse } from './gate-error.js';
import { folded, nameOf, quoted, type SqlToken, sqlTokens } from './sql-words.js';
import { schemaStatement } from './statements.js';

/**
 * SQLite compares rows by an expression that is as deep as the table has columns, and refuses those deeper than
 * 1,000 (https://sqlite.org/limits.html#max_expr_depth): above this many, no changeset can be applied.
 */
const MOST_COLUMNS = 990;

const MODULES: ReadonlySet<string> = new Set(['fts5', 'rtree', 'rtree_i32']);

/** The gate's own: where the replica is, and the requests that were answered. */
const OWN: ReadonlySet<string> = new Set(['poolite_replica', 'poolite_requests']);

interface Column {
  name: string;
  pk: number;
  notnull: number;
}

/** The tables of the database itself, but SQLite's own and the gate's, and none that a virtual table keeps. */
export function ordinaryTables(db: DatabaseSync): string[] {
  const rows = db.prepare('PRAGMA main.table_list').all() as { name: string; type: string }[];
  return rows
    .filter(({ name, type }) => type === 'table' && !/^sqlite_/i.test(name) && !OWN.has(name))
    .map(({ name }) => name);
}

/** Whether SQLite changes rows of other tables when this one is dropped. */
export function isParent(db: DatabaseSync, table: string): boolean {
  const { foreign_keys } = db.prepare('PRAGMA foreign_keys').get() as { foreign_keys: number };
  if (foreign_keys === 0) return false;
  const sql = `SELECT 1 FROM main.sqlite_schema s, pragma_foreign_key_list(s.name, 'main') k
    WHERE s.type = 'table' AND lower(k."table") = lower(?1) AND lower(s.name) <> lower(?1) LIMIT 1`;
  return db.prepare(sql).get(table) !== undefined;
}

/** Virtual tables by name, with the text that made them. */
export function virtualTables(db: DatabaseSync): Map<string, string> {
  const rows = db
    .prepare("SELECT name, sql FROM main.sqlite_schema WHERE type = 'table' AND rootpage = 0")
    .all() as { name: string; sql: string }[];
  return new Map(rows.map(({ name, sql }) => [name, sql]));
}

/**
 * Refuses a table, which is there, where SQLite's sessions would not record all of its rows, or record them so
 * that other replicas could not find them again: https://sqlite.org/sessionintro.html#limitations
 */
export function checkTable(db: DatabaseSync, table: string): void {
  const columns = columnsOf(db, table);
  const key = columns.filter(({ pk }) => pk > 0);
  if (columns.length > MOST_COLUMNS) throw tooWide(table, columns.length);
  if (key.length === 0) {
    throw misuse(
      `table ${table} is refused on a pool with a store: it has no PRIMARY KEY, by which other replicas know a ` +
        'row again; give it one (id INTEGER PRIMARY KEY)',
    );
  }
  const nullable = key.find(({ notnull }) => notnull === 0);
  if (nullable !== undefined && !hasRowidKey(db, table, key)) {
    throw misuse(
      `table ${table} is refused on a pool with a store: column ${nullable.name} of its PRIMARY KEY may be NULL, ` +
        'and other replicas would never hear of such a row; declare it NOT NULL, or as INTEGER PRIMARY KEY',
    );
  }
  const sql = sqlOf(db, table);
  if (sql !== undefined) refuseConflictClause(sql, table);
  for (const [name, text] of virtualTables(db)) {
    if (/\bfts5\b/i.test(text)) checkContent(db, name, text, table);
  }
}

/** Refuses what a statement that makes or alters a table says, as far as its text alone tells. */
export function checkText(db: DatabaseSync, sql: string): void {
  const { verb, kind, name, tokens, rest } = schemaStatement(sql);
  const own = tokens.map((token) => folded(nameOf(token))).find((word) => OWN.has(word));
  if (own !== undefined) {
    throw misuse(
      `table ${own} belongs to the store, so its schema cannot be changed: use a table of your own`,
    );
  }
  if (verb === 'ALTER' && kind === 'TABLE') {
    refuseConflictClause(sql, name);
    const adds = tokens[rest]?.value === 'ADD';
    if (adds && columnsOf(db, name).length >= MOST_COLUMNS) throw tooWide(name, MOST_COLUMNS + 1);
  }
  if (verb !== 'CREATE') return;
  if (kind === 'TABLE' && tokens[rest]?.value === 'AS') {
    throw misuse(
      `CREATE TABLE ${name} AS SELECT is refused on a pool with a store: such a table has no PRIMARY KEY; ` +
        'create it with its columns and a PRIMARY KEY, and INSERT INTO … SELECT then',
    );
  }
  if (kind === 'TABLE') refuseConflictClause(sql, name);
  if (kind === 'VIRTUAL TABLE') checkVirtual(db, name, sql, tokens, rest);
}

function checkVirtual(
  db: DatabaseSync,
  name: string,
  sql: string,
  tokens: readonly SqlToken[],
  rest: number,
): void {
  const module = folded(nameOf(tokens[rest + 1]));
  if (!MODULES.has(module)) {
    throw misuse(
      `virtual table ${name} is refused on a pool with a store: only fts5, rtree and rtree_i32 keep all they have ` +
        `in tables that other replicas get; make it as a temporary one (CREATE VIRTUAL TABLE temp.${name} …) on ` +
        'each connection that needs it, or use those',
    );
  }
  if (module === 'fts5') checkContent(db, name, sql);
}

/** @param of checks only what has this table for its content. */
function checkContent(db: DatabaseSync, name: string, sql: string, of?: string): void {
  const { content, rowid } = contentOf(sql);
  if (content === '' || (of !== undefined && folded(of) !== folded(content))) return;
  const kinds = db
    .prepare(
      "SELECT type FROM main.sqlite_schema WHERE type IN ('table', 'view') AND lower(name) = lower(?)",
    )
    .all(content) as { type: string }[];
  const way = `declare its key as INTEGER PRIMARY KEY and name that column in content_rowid, or leave content out`;
  if (kinds.length === 0) {
    throw misuse(
      `virtual table ${name} is refused on a pool with a store: its content ${content} must be there first`,
    );
  }
  const isRowid = /^(rowid|oid|_rowid_)$/i.test(rowid);
  if (kinds[0]?.type === 'view' && !isRowid) return;
  const key = columnsOf(db, content).filter(({ pk }) => pk > 0);
  const isKey = key.length === 1 && (isRowid || folded(key[0]?.name ?? '') === folded(rowid));
  if (isKey && hasRowidKey(db, content, key)) return;
  throw misuse(
    `virtual table ${name} is refused on a pool with a store: it knows the rows of its content ${content} by a ` +
      `number (${rowid}) that is another on each replica; ${way}`,
  );
}

/** The options content and content_rowid of FTS5: https://sqlite.org/fts5.html#external_content_tables */
function contentOf(sql: string): { content: string; rowid: string } {
  const tokens = [...sqlTokens(sql)];
  const found = { content: '', rowid: 'rowid' };
  for (const [index, token] of tokens.entries()) {
    const before = tokens[index - 1]?.value;
    if (tokens[index + 1]?.value !== '=' || (before !== '(' && before !== ',')) continue;
    const option = folded(nameOf(token));
    const value = nameOf(tokens[index + 2]);
    if (option === 'content') found.content = value;
    if (option === 'content_rowid') found.rowid = value;
  }
  return found;
}

/** Whether the key is the row's number itself, which is never NULL: then no index is kept for it. */
function hasRowidKey(db: DatabaseSync, table: string, key: readonly Column[]): boolean {
  if (key.length !== 1) return false;
  const rows = db.prepare(`PRAGMA main.table_list(${quoted(table)})`).all() as { wr: number }[];
  if (rows[0]?.wr === 1) return false;
  const indexes = db.prepare(`PRAGMA main.index_list(${quoted(table)})`).all();
  return !(indexes as { origin: string }[]).some(({ origin }) => origin === 'pk');
}

function columnsOf(db: DatabaseSync, table: string): Column[] {
  return db.prepare(`PRAGMA main.table_xinfo(${quoted(table)})`).all() as unknown as Column[];
}

function sqlOf(db: DatabaseSync, table: string): string | undefined {
  const row = db
    .prepare("SELECT sql FROM main.sqlite_schema WHERE type = 'table' AND lower(name) = lower(?)")
    .get(table) as { sql: string } | undefined;
  return row?.sql;
}

/** https://sqlite.org/syntax/conflict-clause.html; behind CREATE TABLE and ALTER TABLE, ON CONFLICT is nothing else. */
function refuseConflictClause(sql: string, table: string): void {
  let before = '';
  for (const { kind, value } of sqlTokens(sql)) {
    if (kind === 'word' && value === 'CONFLICT' && before === 'ON') {
      throw misuse(
        `table ${table} is refused on a pool with a store: by its ON CONFLICT clause, other replicas could drop ` +
          'rows that this one keeps; leave the clause out, and say INSERT OR … or use an upsert instead',
      );
    }
    before = kind === 'word' ? value : '';
  }
}

function tooWide(table: string, columns: number): Error {
  return misuse(
    `table ${table} is refused on a pool with a store: it has ${columns} columns, and SQLite cannot apply changes ` +
      `to more than ${MOST_COLUMNS}; put some of them into a second table with the same key, or into one JSON column`,
  );
}
