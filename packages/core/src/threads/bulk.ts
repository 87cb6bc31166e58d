import type { BusyWaiter } from './busy.js';
import type { Connection } from './connection.js';
import type { Outbox } from './outbox.js';
import { type Command, Control } from './protocol.js';
import { failureOf } from './rows.js';
import type { Runner } from './runner.js';

/** One statement over many parameter sets, in one transaction; the sets come in chunks. */
export class Bulk {
  readonly #connection: Connection;
  readonly #runner: Runner;
  readonly #busy: BusyWaiter;
  readonly #control: Int32Array;
  #statement = 0;
  #ran = 0;
  #failure: { error: unknown; index: number | undefined } | undefined;

  constructor(connection: Connection, runner: Runner, busy: BusyWaiter, control: Int32Array) {
    this.#connection = connection;
    this.#runner = runner;
    this.#busy = busy;
    this.#control = control;
  }

  begin({ statement }: Command & { type: 'bulk' }): void {
    this.#statement = statement;
    try {
      this.#busy.run(() => this.#connection.control('BEGIN IMMEDIATE'));
    } catch (error) {
      this.#failure = { error, index: undefined };
    }
  }

  rows({ columns, names, count }: Command & { type: 'rows' }, outbox: Outbox): void {
    let changes = 0;
    let i = 0;
    if (this.#failure === undefined) {
      try {
        const { statement } = this.#runner.prepared(this.#connection, this.#statement);
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
        if (this.#connection.db.inTransaction) this.#connection.control('ROLLBACK');
      }
    }
    const failed = this.#failure !== undefined;
    outbox.push({ type: 'progress', ran: count, changes, failed });
  }

  end({ task, commit }: Command & { type: 'bulk-end' }, outbox: Outbox): void {
    const { db } = this.#connection;
    if (this.#failure === undefined && commit) {
      Atomics.store(this.#control, Control.committing, 1);
      try {
        this.#connection.control('COMMIT');
      } catch (error) {
        this.#failure = { error, index: undefined };
      }
    }
    if (db.inTransaction) this.#connection.control('ROLLBACK');
    const failure =
      this.#failure === undefined ? undefined : failureOf(this.#failure.error, this.#failure.index);
    outbox.push({ type: 'done', tasks: [task], failure, inTransaction: false });
  }
}
