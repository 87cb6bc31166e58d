import { createHash } from 'node:crypto';
import type { DatabaseSync, StatementSync } from 'node:sqlite';

interface SchemaRow {
  type: string;
  name: string;
  tbl_name: string;
  sql: string | null;
}

/** Statistics are each machine's own; the other two are the gate's. */
const ROWS = `SELECT type, name, tbl_name, sql FROM main.sqlite_schema
  WHERE name NOT LIKE 'sqlite\\_stat%' ESCAPE '\\' AND tbl_name NOT IN ('poolite_replica', 'poolite_requests')
  ORDER BY rowid`;

/** The schema as one connection sees it, with what was worked out of it remembered until it changes. */
export class Schema {
  readonly #db: DatabaseSync;
  readonly #version: StatementSync;
  #seen: number | undefined;
  #hash = '';
  #deferred: readonly string[] = [];
  #hasTriggers = false;
  #hasSequences = false;

  constructor(db: DatabaseSync) {
    this.#db = db;
    this.#version = db.prepare('PRAGMA main.schema_version');
  }

  /** https://sqlite.org/pragma.html#pragma_schema_version: other with each change, until one is rolled back. */
  get version(): number {
    return (this.#version.get() as { schema_version: number }).schema_version;
  }

  /** Call it where a change may have been rolled back: the next one has the same version. */
  forget(): void {
    this.#seen = undefined;
  }

  /**
   * The same on all replicas that have the same tables, indexes, views and triggers, and the triggers of each table
   * in the same order, in which they fire. In which order the others were made is left out.
   */
  get hash(): string {
    this.#look();
    return this.#hash;
  }

  /** Tables whose text has a deferred foreign key; too many rather than too few. */
  get deferred(): readonly string[] {
    this.#look();
    return this.#deferred;
  }

  get hasTriggers(): boolean {
    this.#look();
    return this.#hasTriggers;
  }

  /** Whether there is a table `sqlite_sequence`, which comes with the first AUTOINCREMENT. */
  get hasSequences(): boolean {
    this.#look();
    return this.#hasSequences;
  }

  #look(): void {
    const version = this.version;
    if (version === this.#seen) return;
    const rows = this.#db.prepare(ROWS).all() as unknown as SchemaRow[];
    const others = rows
      .filter(({ type }) => type !== 'trigger')
      .map(textOf)
      .sort();
    // Sorting is stable: the triggers of one table stay in their order.
    const triggers = rows
      .filter(({ type }) => type === 'trigger')
      .sort((a, b) => (a.tbl_name < b.tbl_name ? -1 : a.tbl_name > b.tbl_name ? 1 : 0))
      .map(textOf);
    const text = [...others, ...triggers].join('\n');
    this.#hash = createHash('sha256').update(text).digest('hex');
    this.#deferred = rows
      .filter(({ type, sql }) => type === 'table' && /deferred/i.test(sql ?? ''))
      .map(({ name }) => name);
    this.#hasTriggers = triggers.length > 0;
    this.#hasSequences = rows.some(({ name }) => name === 'sqlite_sequence');
    this.#seen = version;
  }
}

function textOf({ type, name, tbl_name, sql }: SchemaRow): string {
  return JSON.stringify([type, name, tbl_name, sql]);
}
