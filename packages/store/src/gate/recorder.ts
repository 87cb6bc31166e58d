import type { DatabaseSync, Session } from 'node:sqlite';
import type { Part } from '../entry.js';
import type { Schema } from './schema.js';
import { folded } from './sql-words.js';
import { ordinaryTables } from './tables.js';

/** A statement that changed the schema, with what was changed before it and by it. */
interface Step {
  readonly parts: readonly Part[];
  /** The version of the schema that it left; REINDEX and ANALYZE leave it as it was. */
  readonly version: number;
  /** How many statements that write rows had run before it. */
  readonly ran: number;
}

/** Gathers what the writer's transaction changes, in the order in which others must do the same. */
export class Recorder {
  readonly #writer: DatabaseSync;
  readonly #schema: Schema;
  /**
   * While a session is there, SQLite compiles `DELETE FROM t` so that it tells of each row. Statements outlive the
   * sessions of transactions, so one is always there; it records nothing.
   */
  readonly #always: Session;
  #session: Session | undefined;
  #steps: Step[] = [];
  #ran = 0;
  /** The statement that is changing the schema, and what was changed before it. */
  #pending: { sql: string; before: Part[]; watch: Session[]; version: number } | undefined;
  #isWhole = false;

  constructor(writer: DatabaseSync, schema: Schema) {
    this.#writer = writer;
    this.#schema = schema;
    this.#always = writer.createSession({ table: 'poolite_nothing' });
  }

  /** Whether anything ran that may have changed something. */
  get isTouched(): boolean {
    return this.#ran > 0 || this.#steps.length > 0 || this.#isWhole;
  }

  /** Whether parts are kept that cannot be asked for again; then the schema was changed, too. */
  get keepsParts(): boolean {
    return this.#steps.length > 0 || this.#isWhole;
  }

  /** The whole database must be sent: what was undone cannot be told apart from what was not. */
  get isWhole(): boolean {
    return this.#isWhole;
  }

  forget(): void {
    this.#forgetPending();
    this.#close();
    this.#steps = [];
    this.#ran = 0;
    this.#isWhole = false;
  }

  /** Before a statement that writes rows. */
  rows(): void {
    this.#forgetPending();
    this.#ran++;
    this.#session ??= this.#writer.createSession();
  }

  /**
   * Before a statement that changes the schema: a session cannot be asked behind it. Where it drops a table that
   * others refer to, their rows change too, as SQLite deletes those of the parent: these are watched.
   * https://sqlite.org/foreignkeys.html#fk_schemacommands
   */
  schema(sql: string, parent?: string): void {
    this.#forgetPending();
    const tables = parent === undefined ? [] : ordinaryTables(this.#writer);
    const before = this.#changes();
    const watch = tables
      .filter((table) => folded(table) !== folded(parent ?? ''))
      .map((table) => this.#writer.createSession({ table }));
    this.#pending = { sql, before, watch, version: this.#schema.version };
  }

  /** The statement has run. `isUpkeep`: one that leaves the version of the schema as it was. */
  schemaChanged(sql: string, isUpkeep: boolean): void {
    if (this.#pending?.sql !== sql) return;
    const { before, watch, version: was } = this.#pending;
    const { version } = this.#schema;
    // Else it was IF NOT EXISTS, or about something temporary: the session can go on.
    if (version !== was || isUpkeep) {
      const after = watch.map((session) => session.changeset());
      const parts = [...before, { type: 'ddl' as const, sql }, ...after.flatMap(changes)];
      this.#steps.push({ parts, version, ran: this.#ran });
      this.#close();
    }
    this.#forgetPending();
  }

  /**
   * ROLLBACK TO has run. A session compares with what is there when it is asked, so rows need nothing. But what came
   * before a statement that changed the schema has left its session already.
   */
  undone(): void {
    this.#forgetPending();
    this.#schema.forget();
    const { version } = this.#schema;
    const first = this.#steps.findIndex((step) => step.version > version);
    // Of what was written before REINDEX or ANALYZE, nobody knows whether it is still there.
    const kept = first === -1 ? this.#steps : this.#steps.slice(0, first);
    const isUnsure = kept.some(
      (step, at) => step.version === (kept[at - 1]?.version ?? version) && step.ran > 0,
    );
    if (isUnsure) this.#isWhole = true;
    if (first === -1) return;
    this.#close();
    // Where no row was written before what was undone, all that is kept is as it was.
    const ran = this.#steps[first - 1]?.ran ?? 0;
    if (this.#steps[first]?.ran !== ran) this.#isWhole = true;
    this.#steps.length = first;
    this.#ran = ran;
  }

  /** What the transaction has changed so far; it goes on being recorded. */
  parts(): Part[] {
    this.#forgetPending();
    return [...this.#steps.flatMap(({ parts }) => parts), ...this.#changes()];
  }

  close(): void {
    this.forget();
    this.#always.close();
  }

  #changes(): Part[] {
    return this.#session === undefined ? [] : changes(this.#session.changeset());
  }

  #close(): void {
    this.#session?.close();
    this.#session = undefined;
  }

  #forgetPending(): void {
    for (const session of this.#pending?.watch ?? []) session.close();
    this.#pending = undefined;
  }
}

function changes(bytes: Uint8Array): Part[] {
  return bytes.length === 0 ? [] : [{ type: 'changes', bytes }];
}
