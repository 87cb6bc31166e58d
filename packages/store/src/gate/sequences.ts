import type { DatabaseSync, StatementSync } from 'node:sqlite';
import { misuse } from './gate-error.js';
import type { Schema } from './schema.js';

export type Sequence = [table: string, value: number | bigint];

/** What stands for a row that is not there: no AUTOINCREMENT has given this number. */
const NONE = -1;

/**
 * The rows of `sqlite_sequence`, which sessions leave out: the last number that each AUTOINCREMENT has given, also to
 * rows that are there no more. https://sqlite.org/autoinc.html
 */
export class Sequences {
  readonly #db: DatabaseSync;
  readonly #schema: Schema;
  #read: StatementSync | undefined;
  #before: ReadonlyMap<string, bigint> | undefined;

  constructor(db: DatabaseSync, schema: Schema) {
    this.#db = db;
    this.#schema = schema;
  }

  /** From here on, what changes is told. */
  mark(): void {
    this.#before ??= this.#all();
  }

  /** What was marked is not so any more, or nobody knows. */
  forget(): void {
    this.#before = undefined;
  }

  /** What has changed since the mark. */
  changed(): Sequence[] {
    const before = this.#before ?? new Map<string, bigint>();
    const now = this.#all();
    const changed: Sequence[] = [];
    for (const [table, value] of now) {
      if (before.get(table) !== value) changed.push([table, plain(value)]);
    }
    for (const table of before.keys()) if (!now.has(table)) changed.push([table, NONE]);
    return changed;
  }

  /** Makes all rows what they were at the mark, but for what the list says. */
  set(changed: readonly Sequence[]): void {
    const target = new Map(this.#before);
    for (const [table, value] of changed) {
      if (value < 0) target.delete(table);
      else target.set(table, BigInt(value));
    }
    const now = this.#all();
    const run = (sql: string, ...values: (string | bigint)[]) =>
      this.#db.prepare(sql).run(...values);
    for (const table of now.keys()) {
      if (!target.has(table)) run('DELETE FROM main.sqlite_sequence WHERE name = ?', table);
    }
    for (const [table, value] of target) {
      const is = now.get(table);
      if (is === undefined)
        run('INSERT INTO main.sqlite_sequence (name, seq) VALUES (?, ?)', table, value);
      else if (is !== value)
        run('UPDATE main.sqlite_sequence SET seq = ? WHERE name = ?', value, table);
    }
  }

  #all(): Map<string, bigint> {
    const rows = new Map<string, bigint>();
    for (const { name, seq } of this.#rows()) {
      if (typeof name !== 'string' || typeof seq !== 'bigint' || seq < 0n) {
        throw misuse(
          `sqlite_sequence must hold numbers from 0 on a pool with a store, not ${String(seq)} for ${String(name)}`,
        );
      }
      rows.set(name, seq);
    }
    return rows;
  }

  #rows(): { name: unknown; seq: unknown }[] {
    if (!this.#schema.hasSequences) return [];
    if (this.#read === undefined) {
      this.#read = this.#db.prepare('SELECT name, seq FROM main.sqlite_sequence');
      this.#read.setReadBigInts(true);
    }
    return this.#read.all() as { name: unknown; seq: unknown }[];
  }
}

function plain(value: bigint): number | bigint {
  return value <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(value) : value;
}
