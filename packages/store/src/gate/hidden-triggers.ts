import type { DatabaseSync } from 'node:sqlite';
import type { Schema } from './schema.js';
import { quoted } from './sql-words.js';

/**
 * Keeps triggers from firing on the connection that applies what others wrote: what they did there is among the
 * changes already. To drop them and make them again with each entry would have every connection read the schema anew
 * each time. So this connection alone reads a schema without them: they are taken out of `sqlite_schema` within the
 * transaction, the schema is read, and they are put back as they were, row numbers and all. SQLite keeps to what it
 * has read for as long as `schema_version` stays the same, and that no one changes here.
 * https://sqlite.org/pragma.html#pragma_writable_schema
 */
export class HiddenTriggers {
  readonly #db: DatabaseSync;
  readonly #schema: Schema;
  /** The version whose triggers are hidden. */
  #hidden: number | undefined;

  constructor(db: DatabaseSync, schema: Schema) {
    this.#db = db;
    this.#schema = schema;
    db.exec('CREATE TEMP TABLE poolite_triggers (number, type, name, tbl_name, rootpage, sql)');
  }

  /** Call it in a transaction that writes, before changes are applied. */
  hide(): void {
    const { version, hasTriggers } = this.#schema;
    if (this.#hidden === version) return;
    if (hasTriggers) {
      this.#db.exec(`
        PRAGMA writable_schema = ON;
        DELETE FROM temp.poolite_triggers;
        INSERT INTO temp.poolite_triggers SELECT rowid, * FROM main.sqlite_schema WHERE type = 'trigger';
        DELETE FROM main.sqlite_schema WHERE type = 'trigger';
        PRAGMA writable_schema = RESET;
        SELECT 1 FROM main.sqlite_schema;
        PRAGMA writable_schema = ON;
        INSERT INTO main.sqlite_schema (rowid, type, name, tbl_name, rootpage, sql)
          SELECT * FROM temp.poolite_triggers;
        PRAGMA writable_schema = OFF;`);
      this.#check();
    }
    this.#hidden = version;
  }

  /** Call it before the schema is changed: ALTER and DROP look at triggers, too. */
  show(): void {
    this.#hidden = undefined;
    this.#db.exec('PRAGMA writable_schema = RESET');
  }

  /** A transaction was rolled back, after which SQLite may have read the schema anew. */
  forget(): void {
    this.#hidden = undefined;
  }

  /** A trigger is a program within the program of a statement: https://sqlite.org/opcode.html#Program */
  #check(): void {
    const tables = this.#db
      .prepare(
        `SELECT DISTINCT t.name FROM temp.poolite_triggers r
          JOIN main.sqlite_schema t ON t.type = 'table' AND lower(t.name) = lower(r.tbl_name)`,
      )
      .all() as { name: string }[];
    for (const { name } of tables) {
      const table = `main.${quoted(name)}`;
      for (const sql of [`INSERT INTO ${table} DEFAULT VALUES`, `DELETE FROM ${table}`]) {
        const steps = this.#db.prepare(`EXPLAIN ${sql}`).all() as { opcode: string }[];
        if (steps.some(({ opcode }) => opcode === 'Program')) {
          throw new Error(`the triggers of ${name} cannot be kept from firing`);
        }
      }
    }
  }
}
