import type { DatabaseSync } from 'node:sqlite';
import type { Part } from '../entry.js';
import type { Schema } from './schema.js';
import { quoted } from './sql-words.js';

interface Violation {
  rowid: number | bigint | null;
  parent: string;
  fkid: number;
}

/**
 * Foreign keys that SQLite looks at with COMMIT, when the log has the entry already: so they are looked at before.
 * https://sqlite.org/foreignkeys.html#fk_deferred
 */
export class DeferredKeys {
  readonly #writer: DatabaseSync;
  readonly #schema: Schema;
  #mayBeAll = false;

  constructor(writer: DatabaseSync, schema: Schema) {
    this.#writer = writer;
    this.#schema = schema;
  }

  /** The transaction may defer all of its keys. */
  defer(): void {
    this.#mayBeAll = true;
  }

  /** The transaction is over, and SQLite defers no more than the schema says. */
  forget(): void {
    this.#mayBeAll = false;
  }

  /**
   * Throws what COMMIT would.
   *
   * @param committed sees the file without the transaction: what was violated there already does no harm.
   */
  check(parts: readonly Part[], committed: () => DatabaseSync): void {
    if (!this.#mayBeAll && this.#schema.deferred.length === 0) return;
    if (!this.#is('foreign_keys')) return;
    const isAll = this.#mayBeAll && this.#is('defer_foreign_keys');
    const tables = isAll ? this.#referring() : this.#schema.deferred;
    for (const table of tables) {
      if (!isTouched(this.#writer, table, parts)) continue;
      const found = violations(this.#writer, table);
      if (found.length > 0 && isNew(found, violations(committed(), table))) {
        throw Object.assign(new Error('FOREIGN KEY constraint failed'), {
          name: 'SqliteError',
          code: 'SQLITE_CONSTRAINT_FOREIGNKEY',
        });
      }
    }
  }

  #is(pragma: string): boolean {
    const row = this.#writer.prepare(`PRAGMA ${pragma}`).get() as Record<string, number>;
    return row[pragma] === 1;
  }

  #referring(): string[] {
    const rows = this.#writer
      .prepare(
        "SELECT name FROM main.sqlite_schema WHERE type = 'table' AND sql LIKE '%references%'",
      )
      .all() as { name: string }[];
    return rows.map(({ name }) => name);
  }
}

/** Whether the parts name the table, or one that it refers to. Names are found by their bytes: at times too many. */
function isTouched(db: DatabaseSync, table: string, parts: readonly Part[]): boolean {
  const parents = db.prepare(`PRAGMA main.foreign_key_list(${quoted(table)})`).all() as {
    table: string;
  }[];
  const names = [table, ...parents.map((key) => key.table)].map(
    (name) => `${latin1(Buffer.from(name))}\0`,
  );
  return parts.some((part) => {
    if (part.type !== 'changes') return true;
    const text = latin1(part.bytes);
    return names.some((name) => text.includes(name));
  });
}

function latin1(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    .toString('latin1')
    .toLowerCase();
}

function violations(db: DatabaseSync, table: string): Violation[] {
  try {
    const statement = db.prepare(`PRAGMA main.foreign_key_check(${quoted(table)})`);
    statement.setReadBigInts(true);
    return statement.all() as unknown as Violation[];
  } catch (error) {
    // The table is new, or a parent is: https://sqlite.org/foreignkeys.html#fk_schemaerror
    if (/no such table|foreign key mismatch/.test((error as Error).message)) return [];
    throw error;
  }
}

function isNew(found: readonly Violation[], before: readonly Violation[]): boolean {
  const counts = new Map<string, number>();
  const key = ({ rowid, parent, fkid }: Violation) => `${rowid} ${fkid} ${parent}`;
  for (const violation of before) counts.set(key(violation), (counts.get(key(violation)) ?? 0) + 1);
  return found.some((violation) => {
    const left = counts.get(key(violation)) ?? 0;
    counts.set(key(violation), left - 1);
    return left <= 0;
  });
}
