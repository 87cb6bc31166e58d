import { isTransactionHazard, withoutOrRollback } from '../statements/hazard.js';
import { AheadRun } from './ahead-run.js';
import { commitFailure } from './commit-doubt.js';
import { Prepared } from './connection.js';
import { isRefusedCommit } from './gate.js';
import type { WriterTools } from './group-run.js';
import type { Outbox } from './outbox.js';
import { inOwnCommit } from './own-commit.js';
import { type Command, Control, taskWord, type WordReader, type Words } from './protocol.js';
import { failureOf } from './rows.js';
import { interrupted, isInterrupted } from './running.js';
import { runScript } from './script-run.js';

/** What a conflict clause has a say in: https://sqlite.org/lang_conflict.html */
const OBEYS_OR_ROLLBACK = /^SQLITE_CONSTRAINT_(UNIQUE|PRIMARYKEY|ROWID|NOTNULL|CHECK)$/;

/**
 * Runs interactive transactions, one at a time, several to a commit.
 *
 * A transaction that ends while another waits is not committed at once: its work stays in the
 * open SQLite transaction, the next one runs in a savepoint there, and one COMMIT answers them
 * all. Where one of them could undo the others, what ended is committed first.
 */
export class TransactionRun {
  readonly #tools: WriterTools;
  readonly #outbox: Outbox;
  /** Transactions that ended and wait for the COMMIT that answers them. */
  #held: number[] = [];
  /** Whether the running transaction is a savepoint behind held ones. */
  #nested = false;
  /** Why the running transaction could not begin, or was undone by SQLite. */
  #broken: unknown;
  #readonly = false;
  /** Whether the running transaction may fail at COMMIT: nothing may follow it then. */
  #last = false;
  /** Whether a transaction began that has not ended, whatever SQLite did with it. */
  #begun = false;
  /** The schemas that were looked at for hazards last, and what was found. */
  #schemaVersions = '';
  #hazard = false;
  #schemaTouched = true;
  readonly #aheads: AheadRun;

  constructor(tools: WriterTools, outbox: Outbox) {
    this.#tools = tools;
    this.#outbox = outbox;
    this.#aheads = new AheadRun(tools, outbox);
  }

  /** Runs the first statement of a transaction that waits for this one's end. */
  ahead(command: Command & { type: 'ahead' }): void {
    const mayFollow = () => this.#begun && this.#broken === undefined && this.#mayFollow();
    try {
      this.#aheads.run(command, mayFollow);
    } catch (error) {
      this.#undone(error);
      this.#outbox.done(command.task, false);
    }
  }

  /** The open transaction goes on: what ran ahead of its end is undone. */
  goesOn(): void {
    this.#aheads.undo();
  }

  begin({ behavior, readonly }: Command & { type: 'begin' }): void {
    const { connection, busy } = this.#tools;
    this.#broken = undefined;
    this.#last = false;
    this.#nested = this.#held.length > 0;
    try {
      if (this.#nested) {
        connection.control('SAVEPOINT poolite_transaction');
        this.#begun = true;
        return;
      }
      this.#readonly = readonly;
      // For databases in memory, whose snapshots run on the only connection.
      if (readonly) connection.pragma('query_only = ON');
      busy.giveWay();
      busy.run(() => connection.control(`BEGIN ${behavior.toUpperCase()}`));
      this.#begun = true;
    } catch (error) {
      this.#broken = error;
      this.#writable();
    }
  }

  /** Throws where the transaction of this moment is over already. */
  check(): void {
    if (this.#broken !== undefined) throw this.#broken;
  }

  /** A stream failed: SQLite may have undone the transaction with it. */
  failed(error: unknown): void {
    if (this.#begun && !this.#tools.connection.db.inTransaction) this.#undone(error);
  }

  run(task: number, reader: WordReader, out: Words): void {
    this.check();
    const id = reader.number();
    const { connection, runner } = this.#tools;
    // To interrupt what writes undoes those, too, whose commit it shares; who asks for limits before
    // the transaction begins shares none.
    const isShared = this.#nested && !runner.prepared(connection, id).statement.readonly;
    this.#call(task, isShared, () => this.#run(id, task, reader, out));
  }

  /** Fetches rows of a stream. */
  fetch(task: number, work: () => void): void {
    this.#call(task, false, work);
  }

  /** Runs what a call asks for, unless it was given up. */
  #call(task: number, isShared: boolean, work: () => void): void {
    const { connection, running } = this.#tools;
    running.begin(-task, connection.number, isShared);
    try {
      if (!running.claims(taskWord(task), task)) throw interrupted();
      work();
    } finally {
      running.end();
    }
  }

  #run(id: number, task: number, reader: WordReader, out: Words): void {
    const { connection, runner, busy } = this.#tools;
    const { schema, mayRollback } = runner.classification(id);
    if (schema) this.#schemaTouched = true;
    const wasOpen = connection.db.inTransaction;
    try {
      if (this.#nested && mayRollback) {
        this.#hazardous(id, reader, out);
      } else {
        const at = reader.at;
        // A deferred transaction asks for the lock with its first write.
        const run = () => {
          reader.at = at;
          runner.run(connection, id, reader, out);
        };
        const isGated = !wasOpen && connection.gate?.before(runner.sql(id)) === 'replicated';
        const once = isGated ? () => inOwnCommit(connection, run) : run;
        const work = () => busy.run(once, taskWord(task), task);
        if (wasOpen) work();
        else this.#committing(work);
        if (wasOpen && mayRollback) this.#last = true;
      }
    } catch (error) {
      if (wasOpen && !connection.db.inTransaction) this.#undone(error);
      throw error;
    }
  }

  /**
   * `INSERT OR ROLLBACK` and its kin behind held transactions: as OR ABORT, and a failure rolls
   * back to this transaction's own beginning, which is what it would see alone.
   */
  #hazardous(id: number, reader: WordReader, out: Words): void {
    const { connection, runner } = this.#tools;
    this.#last = true;
    const sql = runner.sql(id);
    const harmless = withoutOrRollback(sql);
    if (harmless === sql) return runner.run(connection, id, reader, out);
    const prepared = new Prepared(connection.db.prepare(harmless));
    const method = reader.method();
    connection.feed?.runs(prepared, harmless);
    connection.gate?.before(harmless);
    try {
      runner.runPrepared(connection, prepared, method, reader.params(), out);
    } catch (error) {
      this.#asRollback(error);
      throw error;
    }
  }

  /** Does for the running transaction alone what OR ROLLBACK would have done to all. */
  #asRollback(error: unknown): void {
    const { connection } = this.#tools;
    const { code = '' } = error as { code?: string };
    if (!connection.db.inTransaction || !OBEYS_OR_ROLLBACK.test(code)) return;
    connection.undo('poolite_transaction');
    this.#nested = false;
    this.#broken = new Error(
      'the transaction was rolled back by an earlier statement of its own (OR ROLLBACK)',
    );
  }

  exec(task: number, script: string): void {
    this.check();
    this.#call(task, this.#nested, () => this.#exec(script));
  }

  #exec(script: string): void {
    const { connection, busy } = this.#tools;
    const wasOpen = connection.db.inTransaction;
    this.#schemaTouched = true;
    connection.feed?.scripted();
    if (isTransactionHazard(script)) this.#last = true;
    const harmless = this.#nested ? withoutOrRollback(script) : script;
    try {
      // A script may fail in its middle, so only SQLite itself can wait for locks here.
      connection.pragma(`busy_timeout = ${busy.timeout}`);
      try {
        const run = () => {
          if (connection.gate === undefined) connection.db.exec(harmless);
          else runScript(connection, connection.gate, harmless);
        };
        const work = () => busy.tell(run);
        if (wasOpen) work();
        else this.#committing(work);
      } finally {
        connection.pragma('busy_timeout = 0');
      }
    } catch (error) {
      if (harmless !== script) this.#asRollback(error);
      if (wasOpen && !connection.db.inTransaction) this.#undone(error);
      throw error;
    }
  }

  end({ task, how, share, next }: Command & { type: 'end' }): void {
    if (next === true) return this.#endBefore(task);
    this.#aheads.drop();
    this.#begun = false;
    if (this.#broken !== undefined) {
      const error = this.#broken;
      this.#broken = undefined;
      this.#writable();
      this.#done([task], how === 'rollback' ? undefined : error);
      // A commit that is not shared is the commit of all who ended before.
      if (how === 'commit' && !share) this.settle();
      return;
    }
    if (how === 'rollback') return this.#rollback(task);
    const { connection } = this.#tools;
    if (!connection.db.inTransaction) {
      return this.#done([task], new Error('the transaction is no longer open: SQLite ended it'));
    }
    if (share && this.#mayFollow()) {
      if (this.#nested) connection.control('RELEASE poolite_transaction');
      this.#nested = false;
      this.#held.push(task);
      return;
    }
    this.#commit(task);
  }

  /** Whether another may follow the open transaction in the same commit. */
  #mayFollow(): boolean {
    return !this.#last && !this.#readonly && !this.#isHazardous();
  }

  /** Ends the open transaction before the one that ran ahead, which is the open one now. */
  #endBefore(task: number): void {
    // Where SQLite undid this one, that one is undone, too.
    if (this.#broken !== undefined) return this.#done([task], this.#broken);
    this.#aheads.take();
    // A savepoint cannot be released from under another; COMMIT releases them all.
    this.#held.push(task);
    this.#nested = true;
  }

  /** COMMIT for those that ended before: nobody follows them after all. */
  settle(): void {
    if (this.#held.length === 0) return;
    const held = this.#held;
    this.#held = [];
    this.#commitFor(held);
  }

  #commit(task: number): void {
    const { connection } = this.#tools;
    const held = this.#held;
    this.#held = [];
    if (!this.#nested) return this.#commitFor([...held, task]);
    this.#nested = false;
    try {
      this.#committing(() => connection.control('COMMIT'));
    } catch (error) {
      // What refuses the commit is this transaction: the others passed theirs when they ended.
      if (connection.db.inTransaction && !isRefusedCommit(error)) {
        connection.undo('poolite_transaction');
        this.#done([task], error);
        return this.#commitFor(held);
      }
      if (connection.db.inTransaction) connection.control('ROLLBACK');
      return this.#done([...held, task], error);
    }
    this.#done([...held, task]);
  }

  #commitFor(tasks: number[]): void {
    const { connection } = this.#tools;
    try {
      this.#committing(() => connection.control('COMMIT'));
    } catch (error) {
      // A commit that fails on a deferred foreign key leaves the transaction open.
      if (connection.db.inTransaction) connection.control('ROLLBACK');
      this.#writable();
      return this.#done(tasks, error);
    }
    this.#writable();
    this.#done(tasks);
  }

  #rollback(task: number): void {
    const { connection } = this.#tools;
    if (this.#nested) {
      this.#nested = false;
      connection.undo('poolite_transaction');
    } else if (connection.db.inTransaction) {
      connection.control('ROLLBACK');
    }
    this.#schemaTouched = true;
    this.#writable();
    this.#done([task]);
  }

  /** SQLite rolled the whole transaction back: whoever was held in it must hear so. */
  #undone(error: unknown): void {
    this.#broken = isInterrupted(error) ? undoneByInterrupt() : error;
    this.#aheads.forget();
    this.#nested = false;
    const held = this.#held;
    this.#held = [];
    if (held.length > 0) this.#done(held, isInterrupted(error) ? undoneByAnother() : error);
  }

  #done(tasks: number[], error?: unknown): void {
    const failure = error === undefined ? undefined : failureOf(error);
    const { connection, busy } = this.#tools;
    const { inTransaction } = connection.db;
    if (!inTransaction) busy.left();
    this.#outbox.push({ type: 'done', tasks, failure, inTransaction });
  }

  #writable(): void {
    if (!this.#readonly) return;
    this.#readonly = false;
    this.#tools.connection.pragma('query_only = OFF');
  }

  #committing<T>(work: () => T): T {
    Atomics.store(this.#tools.control, Control.committing, 1);
    try {
      return work();
    } catch (error) {
      throw commitFailure(error);
    }
  }

  /**
   * Whether the schema holds something that can undo a whole transaction: a ROLLBACK clause of a
   * table or trigger, or a deferred foreign key, which fails at COMMIT.
   */
  #isHazardous(): boolean {
    const { connection } = this.#tools;
    if (!this.#schemaTouched && connection.schemaVersions() === this.#schemaVersions) {
      return this.#hazard;
    }
    this.#schemaTouched = false;
    this.#hazard = connection.schemaTexts().some(isTransactionHazard);
    this.#schemaVersions = connection.schemaVersions();
    return this.#hazard;
  }
}

/** https://sqlite.org/c3ref/interrupt.html */
function undoneByInterrupt(): Error {
  const why = 'SQLite does that where a statement that writes is interrupted';
  return Object.assign(interrupted(), { message: `the transaction was rolled back: ${why}` });
}

/** Nothing of it is stored, and it may run again: so it is as if the thread had died. */
function undoneByAnother(): Error {
  const why = 'a transaction that shared its commit went on after it was given up';
  const message = `the transaction was rolled back before it was committed: ${why}`;
  return Object.assign(new Error(message), { name: 'PoolError', code: 'POOL_THREAD_LOST' });
}
