import { commitFailure } from './commit-doubt.js';
import type { WriterTools } from './group-run.js';
import type { Outbox } from './outbox.js';
import { type Command, Control, taskWord } from './protocol.js';
import { failureOf } from './rows.js';
import { interrupted } from './running.js';

/** One statement over many parameter sets, in one transaction; the sets come in chunks. */
export class Bulk {
  readonly #tools: WriterTools;
  #task = 0;
  #statement = 0;
  #ran = 0;
  #failure: { error: unknown; index: number | undefined } | undefined;

  constructor(tools: WriterTools) {
    this.#tools = tools;
  }

  begin({ statement, task }: Command & { type: 'bulk' }): void {
    const { busy, connection, running } = this.#tools;
    this.#statement = statement;
    this.#task = task;
    running.begin(-task, connection.number);
    try {
      if (!running.claims(taskWord(task), task)) throw interrupted();
      busy.run(() => connection.control('BEGIN IMMEDIATE'), taskWord(task), task);
      connection.gate?.before(this.#tools.runner.sql(statement));
    } catch (error) {
      this.#failure = { error, index: undefined };
    } finally {
      running.end();
    }
  }

  rows({ columns, names, count }: Command & { type: 'rows' }, outbox: Outbox): void {
    const { connection, runner, running } = this.#tools;
    let changes = 0;
    let i = 0;
    running.begin(-this.#task, connection.number);
    if (this.#isGivenUp() && connection.db.inTransaction) connection.control('ROLLBACK');
    if (this.#failure === undefined) {
      try {
        const prepared = runner.prepared(connection, this.#statement);
        connection.feed?.runs(prepared, runner.sql(this.#statement));
        const { statement } = prepared;
        const width = columns.length;
        // One array or object for all sets: SQLite copies what is bound.
        const values: unknown[] = new Array(width).fill(null);
        // Without a prototype, since a parameter may be named __proto__.
        const named: Record<string, unknown> = Object.create(null);
        const params = names === undefined ? values : named;
        for (; i < count; i++) {
          for (let j = 0; j < width; j++) {
            const value = (columns[j] as ArrayLike<unknown>)[i];
            if (names === undefined) values[j] = value;
            else named[names[j] as string] = value;
          }
          changes += statement.run(params).changes;
        }
        this.#ran += count;
      } catch (error) {
        this.#failure = { error, index: this.#ran + i };
        if (connection.db.inTransaction) connection.control('ROLLBACK');
      }
    }
    running.end();
    const failed = this.#failure !== undefined;
    outbox.push({ type: 'progress', ran: count, changes, failed });
  }

  /** Whether it was given up, which is why it fails then. */
  #isGivenUp(): boolean {
    if (!this.#tools.running.isGivenUp(taskWord(this.#task), this.#task)) return false;
    this.#failure ??= { error: interrupted(), index: undefined };
    return true;
  }

  end({ task, commit }: Command & { type: 'bulk-end' }, outbox: Outbox): void {
    const { connection, control } = this.#tools;
    this.#isGivenUp();
    if (this.#failure === undefined && commit) {
      Atomics.store(control, Control.committing, 1);
      try {
        connection.gate?.after(this.#tools.runner.sql(this.#statement));
        connection.control('COMMIT');
      } catch (error) {
        this.#failure = { error: commitFailure(error), index: undefined };
      }
    }
    if (connection.db.inTransaction) connection.control('ROLLBACK');
    const failure =
      this.#failure === undefined ? undefined : failureOf(this.#failure.error, this.#failure.index);
    outbox.push({ type: 'done', tasks: [task], failure, inTransaction: false });
  }
}
