import {
  ANY_CHANGE,
  type Changed,
  type ChangedTable,
  COMMITTED,
  DELETED,
  EMPTIES,
  REPLACES,
  SCHEMA,
  UNNAMED,
  WRITTEN,
} from './changed.js';
import type { Connection, Prepared } from './connection.js';
import type { SqliteStatement } from './engine.js';

type SilentTable = readonly [schema: string, name: string];

/** What the extension says where a commit changed no table that it knows of. */
const NOTHING = '[2,0,[],[]]';

/** Every time that feeding begins, or a schema changes, has a number of its own. */
let lastEra = 0;

/**
 * Tells what the commits of the writer's connection changed, and whether other connections commit.
 *
 * SQLite's update hook is silent for tables WITHOUT ROWID, for virtual ones, and where a DELETE
 * empties a table at once: https://sqlite.org/c3ref/update_hook.html. The authorizer sees those when
 * a statement is compiled: so what a statement may change unnoticed is found out once, and told with
 * the commit that follows each run; of a script, all that it may change so is told.
 */
export class Feed {
  readonly #connection: Connection;
  readonly #changes: SqliteStatement;
  readonly #version: SqliteStatement;
  /** Asks what a statement changes; undefined without the extension, which leaves only the fact known. */
  readonly #tables: SqliteStatement | undefined;
  #era = ++lastEra;
  #schemaVersions = '';
  #dataVersion: unknown;
  #totalChanges: unknown;
  /** What the extension told last. */
  #told = '';
  /** Whether tables are silent, by schema and name. */
  readonly #silent = new Map<string, boolean>();
  /** Whether any table may have changed: another connection has committed, for one. */
  #all: boolean;
  /** Whether rowids are asked for: those told must be all of a table. */
  readonly #isExact: boolean;
  /** What may have been changed unnoticed since it was asked last, by schema and name. */
  readonly #touched = new Map<string, SilentTable>();
  /** Whether a script has run since then. */
  #scripted = false;

  /** @param missed whether something may have been changed that is not known here. */
  constructor(connection: Connection, rowids: number, missed: boolean) {
    this.#connection = connection;
    this.#isExact = rowids > 0;
    this.#all = missed || connection.db.inTransaction;
    const isHooked = connection.number > 0;
    const { db } = connection;
    if (isHooked) db.prepare('SELECT poolite_feed(1, ?)').get([rowids]);
    this.#changes = db.prepare(isHooked ? 'SELECT poolite_changes()' : 'SELECT total_changes()');
    this.#changes.raw(true);
    this.#tables = isHooked ? db.prepare('SELECT poolite_tables(?)') : undefined;
    this.#tables?.raw(true);
    this.#version = db.prepare('PRAGMA data_version');
    this.#version.raw(true);
    this.#dataVersion = this.#ask(this.#version);
    this.#totalChanges = isHooked ? undefined : this.#ask(this.#changes);
    this.#schemaVersions = connection.schemaVersions();
  }

  end(): void {
    if (this.#tables !== undefined) {
      this.#connection.db.prepare('SELECT poolite_feed(0, 0)').get([]);
    }
  }

  #ask(statement: SqliteStatement): unknown {
    return (statement.get([]) as unknown[])[0];
  }

  /**
   * Looks whether another connection has committed. It may say so without need, after a checkpoint.
   * https://sqlite.org/pragma.html#pragma_data_version
   */
  look(): void {
    let version: unknown;
    try {
      version = this.#ask(this.#version);
    } catch {
      // A lock, or the disk: nobody knows, so that is what is told. Who reads hears why.
      this.#all = true;
      return;
    }
    if (version !== this.#dataVersion) this.#all = true;
    this.#dataVersion = version;
  }

  /** A statement is about to run. */
  runs(prepared: Prepared, sql: string): void {
    if (this.#tables === undefined || prepared.statement.readonly) return;
    if (prepared.era !== this.#era) {
      prepared.era = this.#era;
      prepared.silent = this.#silentOf(this.#tables, sql);
    }
    for (const table of prepared.silent) this.#touched.set(table.join('.'), table);
  }

  /** A script is about to run: what is in it is known by its compilation alone. */
  scripted(): void {
    this.#scripted = true;
  }

  /** The tables that a statement may change without the hook being called. */
  #silentOf(tablesOf: SqliteStatement, sql: string): SilentTable[] {
    let answer: [string];
    try {
      answer = tablesOf.get([sql]) as [string];
    } catch {
      // The statement itself will fail in the same way, or nobody knows what it changes.
      this.#all = true;
      return [];
    }
    const [how, tables] = JSON.parse(answer[0]) as [number, ChangedTable[]];
    const isUnnoticed = ([schema, name, flags]: ChangedTable) => {
      if ((flags & WRITTEN) === 0) return false;
      if ((how & EMPTIES) !== 0 && (flags & DELETED) !== 0) return true;
      return (this.#isExact && (how & REPLACES) !== 0) || this.#isSilent(schema, name);
    };
    return tables.filter(isUnnoticed).map(([schema, name]) => [schema, name]);
  }

  /** Whether the hook is not called for a table. https://sqlite.org/pragma.html#pragma_table_list */
  #isSilent(schema: string, name: string): boolean {
    const key = `${schema}.${name}`;
    let isSilent = this.#silent.get(key);
    if (isSilent === undefined) {
      const statement = this.#connection.db.prepare(
        "SELECT 1 FROM pragma_table_list(?) WHERE schema = ? AND (wr = 1 OR type = 'virtual')",
      );
      isSilent = statement.get([name, schema]) !== undefined;
      this.#silent.set(key, isSilent);
    }
    return isSilent;
  }

  /** What was committed since it was asked last, as the text of a `Changed`; undefined for nothing. */
  collect(): string | undefined {
    if (this.#connection.db.inTransaction) return undefined;
    const answer = this.#ask(this.#changes);
    if (this.#tables === undefined) {
      if (answer !== this.#totalChanges) this.#all = true;
      this.#totalChanges = answer;
    }
    // A number says that it is what was told last.
    const told = typeof answer === 'string' || answer === null ? answer : this.#told;
    this.#told = told ?? this.#told;
    let text = this.#tables === undefined ? null : told;
    if (text === NOTHING && this.#touched.size === 0) text = null;
    if (text !== null && !this.#isWhole(text)) text = this.#withSilent(JSON.parse(text));
    this.#scripted = false;
    this.#touched.clear();
    const isAll = this.#all;
    this.#all = false;
    return isAll ? ANY_CHANGE : (text ?? undefined);
  }

  #isWhole(text: string): boolean {
    return this.#touched.size === 0 && text.startsWith('[2,') && text.endsWith(',[]]');
  }

  /**
   * Statements were compiled, or compiled anew, since the schema has changed: then what is known of
   * them is not true any more. What may have been changed unnoticed is added.
   */
  #withSilent([what, all, committed, compiled]: Changed): string | null {
    const isSchema = (what & SCHEMA) !== 0;
    if (isSchema) this.#connection.forgetSchemas();
    const versions =
      compiled.length > 0 || isSchema ? this.#connection.schemaVersions() : this.#schemaVersions;
    if (versions !== this.#schemaVersions || isSchema) {
      this.#schemaVersions = versions;
      this.#era = ++lastEra;
      this.#silent.clear();
      return ANY_CHANGE;
    }
    if ((what & COMMITTED) === 0) return null;
    if (!this.#scripted) compiled = [];
    const known = new Map(committed.map((table) => [`${table[0]}.${table[1]}`, table]));
    for (const [schemaName, name, flags] of compiled) {
      const isSilent = (flags & DELETED) !== 0 || this.#isSilent(schemaName, name);
      // A script may replace rows, too.
      if (!isSilent && !(this.#isExact && known.has(`${schemaName}.${name}`))) continue;
      known.set(`${schemaName}.${name}`, [schemaName, name, WRITTEN | UNNAMED]);
    }
    for (const [key, table] of this.#touched) known.set(key, [...table, WRITTEN | UNNAMED]);
    if (known.size === 0 && all === 0) return null;
    return JSON.stringify([what, all, [...known.values()], []] satisfies Changed);
  }
}
