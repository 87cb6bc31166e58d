import { rmSync, writeFileSync } from 'node:fs';
import { constants, DatabaseSync } from 'node:sqlite';

/** An entry of the log, as far as a replay needs it: what `@poolite/store` decodes. */
export interface Logged {
  number: number;
  token: string;
  previous: string;
  parts: (
    | { type: 'changes'; bytes: Uint8Array }
    | { type: 'ddl'; sql: string }
    | { type: 'snapshot'; bytes: Uint8Array }
  )[];
  sequences: [table: string, value: number | bigint][];
  requests: string[];
}

const REQUESTS =
  'CREATE TABLE IF NOT EXISTS poolite_requests (id TEXT NOT NULL PRIMARY KEY, at INTEGER NOT NULL, result BLOB) WITHOUT ROWID, STRICT';

/** Of every table but those of SQLite and the replica's own. */
const TABLES = `SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'
  AND name <> 'poolite_replica' ORDER BY name`;

/**
 * A database made from the log alone, entry by entry, by nothing but SQLite: what a replica must be. It has
 * no triggers, since what they did is in the log.
 */
export class Replay {
  readonly #file: string;
  #db: DatabaseSync;

  constructor(file: string) {
    this.#file = file;
    this.#db = this.#open();
    this.#db.exec(REQUESTS);
  }

  #open(): DatabaseSync {
    const db = new DatabaseSync(this.#file, { enableForeignKeyConstraints: false });
    db.exec('PRAGMA journal_mode = MEMORY; PRAGMA synchronous = OFF');
    return db;
  }

  /** @throws where a part does not apply */
  apply({ number, parts, sequences }: Logged): void {
    for (const part of parts) {
      if (part.type === 'snapshot') this.#replace(part.bytes);
      else if (part.type === 'ddl') this.#define(part.sql);
      else {
        const onConflict = () => constants.SQLITE_CHANGESET_ABORT;
        const applied = this.#db.applyChangeset(part.bytes, { onConflict });
        if (!applied) throw new Error(`entry ${number} does not apply to what was before it`);
      }
    }
    for (const [table, value] of sequences) {
      this.#db.prepare('DELETE FROM sqlite_sequence WHERE name = ?').run(table);
      this.#db.prepare('INSERT INTO sqlite_sequence VALUES (?, ?)').run(table, BigInt(value));
    }
  }

  #define(sql: string): void {
    this.#db.exec(sql);
    const triggers = this.#db
      .prepare("SELECT name FROM sqlite_schema WHERE type = 'trigger'")
      .all();
    for (const { name } of triggers) this.#db.exec(`DROP TRIGGER "${name}"`);
  }

  #replace(bytes: Uint8Array): void {
    this.#db.close();
    for (const end of ['', '-wal', '-shm', '-journal']) rmSync(this.#file + end, { force: true });
    writeFileSync(this.#file, bytes);
    this.#db = this.#open();
    this.#define('');
  }

  all<Row>(sql: string, ...params: (string | number)[]): Row[] {
    return this.#db.prepare(sql).all(...params) as Row[];
  }

  /** All rows of all tables, one line each. */
  dump(): string[] {
    return dump(this.#db);
  }

  close(): void {
    this.#db.close();
  }
}

/** All rows of all tables that are replicated, one line each. */
export function dump(db: DatabaseSync): string[] {
  const lines: string[] = [];
  const tables = (db.prepare(TABLES).all() as { name: string }[]).map(({ name }) => name);
  for (const table of [...tables, 'sqlite_sequence']) {
    const columns = db.prepare(`PRAGMA table_info("${table}")`).all() as { name: string }[];
    const texts = columns.map(({ name }) => `quote("${name}")`).join(` || ',' || `);
    const rows = db.prepare(`SELECT ${texts} AS row FROM "${table}" ORDER BY row`).all();
    for (const { row } of rows as { row: string }[]) lines.push(`${table}: ${row}`);
  }
  return lines;
}
