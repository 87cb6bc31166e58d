import { Bulk } from './bulk.js';
import { BusyWaiter } from './busy.js';
import { runCheckpoint } from './checkpoint.js';
import { Connection, isMemory, type Setup } from './connection.js';
import { Cursor, Cursors } from './cursor.js';
import { Feed } from './feed.js';
import type { CommitGate, OpenGate } from './gate.js';
import { GroupRun, type WriterTools } from './group-run.js';
import type { Outbox } from './outbox.js';
import {
  type CheckpointOutcome,
  type Command,
  Control,
  type ThreadData,
  WordReader,
  type Words,
} from './protocol.js';
import { ask } from './questions.js';
import { Runner } from './runner.js';
import { Running } from './running.js';
import { TransactionRun } from './transaction-run.js';

/** How long, in ms, the last checkpoint waits for readers of other processes. */
const LAST_PATIENCE = 250;

/** What the writer thread does: it owns the one connection that writes. */
export class WriterThread {
  readonly #data: ThreadData;
  readonly #setup: Setup | undefined;
  readonly #openGate: OpenGate | undefined;
  readonly #outbox: Outbox;
  readonly #runner: Runner;
  readonly #busy: BusyWaiter;
  readonly #cursors = new Cursors();
  #opened:
    | {
        connection: Connection;
        tools: WriterTools;
        transactions: TransactionRun;
        groups: GroupRun;
      }
    | undefined;
  #bulk: Bulk | undefined;

  constructor(
    data: ThreadData,
    setup: Setup | undefined,
    outbox: Outbox,
    openGate: OpenGate | undefined,
  ) {
    this.#data = data;
    this.#setup = setup;
    this.#openGate = openGate;
    this.#outbox = outbox;
    this.#runner = new Runner(outbox.encoder);
    const { busyTimeout, retry } = data.connection;
    this.#busy = new BusyWaiter(busyTimeout, retry, data.control);
  }

  handle(command: Command): void {
    switch (command.type) {
      case 'define':
        return this.#runner.define(command);
      case 'forget':
        return this.#runner.forget(command.ids, this.#opened ? [this.#opened.connection] : []);
      case 'open':
        return this.#open();
      case 'group':
        this.#working.groups.run(command);
        return this.#tellRetries();
      case 'begin':
        this.#working.transactions.begin(command);
        return this.#tellRetries();
      case 'end':
        this.#cursors.drain();
        return this.#working.transactions.end(command);
      case 'ahead':
        return this.#working.transactions.ahead(command);
      case 'settle':
        return this.#working.transactions.settle();
      case 'execute':
        return this.#execute(command);
      case 'exec':
        return this.#exec(command);
      case 'cursor':
        return this.#cursor(command);
      case 'fetch':
        return this.#fetch(command);
      case 'drop':
        return this.#cursors.drop(command.cursor);
      case 'bulk':
        this.#bulk = new Bulk(this.#working.tools);
        this.#bulk.begin(command);
        return this.#tellRetries();
      case 'rows':
        return this.#bulk?.rows(command, this.#outbox);
      case 'bulk-end':
        this.#bulk?.end(command, this.#outbox);
        this.#bulk = undefined;
        return;
      case 'checkpoint':
        return this.#checkpoint(command);
      case 'feed':
        return this.#feed(command);
      case 'gate':
        return this.#gate(command);
      case 'look':
        return this.#working.connection.feed?.look();
      case 'close':
        return this.#close(command);
      case 'reads':
      case 'session':
      case 'leave':
      case 'turn':
      case 'withdraw':
        throw new Error(`the writer was sent '${command.type}'`);
      default:
        return command satisfies never;
    }
  }

  get #working() {
    if (this.#opened === undefined) throw new Error('the writer is not open');
    return this.#opened;
  }

  #open(): void {
    const { connection: options, control } = this.#data;
    const connection = new Connection(options, 'write', options.busyTimeout);
    try {
      connection.configure(this.#setup);
      connection.hook();
      const journalMode = this.#journalMode(connection);
      // From here on the waits for locks are the pool's own: see BusyWaiter.
      connection.pragma('busy_timeout = 0');
      // Whoever commits must not pay for a checkpoint: see upkeep/, or who does it in its place.
      connection.pragma('wal_autocheckpoint = 0');
      connection.gate = this.#newGate(connection);
      const running = new Running(control);
      const tools = { connection, runner: this.#runner, busy: this.#busy, control, running };
      this.#opened = {
        connection,
        tools,
        groups: new GroupRun(tools, this.#outbox),
        transactions: new TransactionRun(tools, this.#outbox),
      };
      const { sqliteVersion, noHooks } = connection;
      const attached = connection.attached().map(({ file }) => file);
      const info = { sqliteVersion, journalMode, attached, noHooks };
      this.#outbox.push({ type: 'opened', info });
    } catch (error) {
      connection.close();
      throw error;
    }
  }

  #newGate(connection: Connection): CommitGate | undefined {
    const { connection: options, gate } = this.#data;
    if (gate === undefined || this.#openGate === undefined) return undefined;
    return this.#openGate({
      writer: connection.db.native,
      open: () => {
        const another = new Connection(options, 'write', options.busyTimeout);
        another.configure(this.#setup);
        const native = another.db.native as { enableDefensive?(on: boolean): void };
        native.enableDefensive?.(false);
        return native;
      },
      data: gate.data,
      ask: (question, transfer) => ask(gate.questions, question, transfer),
    });
  }

  #gate({ task, message }: Command & { type: 'gate' }): void {
    const { connection } = this.#working;
    let failed: unknown;
    try {
      connection.gate?.turn(message);
    } catch (error) {
      failed = error;
    }
    this.#outbox.done(task, connection.db.inTransaction, failed);
  }

  /** https://sqlite.org/wal.html#activating_and_configuring_wal_mode */
  #journalMode(connection: Connection): string {
    const { file, readonly } = this.#data.connection;
    const wanted = isMemory(file) || readonly ? 'journal_mode' : 'journal_mode = WAL';
    const [row] = connection.pragma(wanted) as [{ journal_mode: string }];
    const mode = row.journal_mode;
    if (!isMemory(file) && !readonly && mode !== 'wal') {
      throw Object.assign(
        new Error(
          `the file system of the database refused WAL mode (journal_mode stayed '${mode}'): a pool ` +
            'needs WAL, which needs shared memory, so a network file system will not do',
        ),
        { name: 'SqliteError', code: 'SQLITE_CANTOPEN' },
      );
    }
    return mode;
  }

  #tellRetries(): void {
    const { retries } = this.#busy;
    if (retries === 0) return;
    this.#busy.retries = 0;
    this.#outbox.push({ type: 'busy', retries });
  }

  #execute({ task, words }: Command & { type: 'execute' }): void {
    this.#cursors.drain();
    const { connection, transactions } = this.#working;
    let out: Words = [];
    try {
      transactions.goesOn();
      transactions.run(task, new WordReader(words), out);
    } catch (error) {
      out = this.#outbox.failed(error);
    }
    const { inTransaction } = connection.db;
    this.#outbox.push({ type: 'held', task, inTransaction, words: out });
    this.#tellRetries();
  }

  #exec({ task, script, alone }: Command & { type: 'exec' }): void {
    this.#cursors.drain();
    const { connection, transactions } = this.#working;
    let failed: unknown;
    try {
      transactions.goesOn();
      transactions.exec(task, script);
    } catch (error) {
      failed = error;
    }
    if (alone && connection.db.inTransaction) {
      connection.control('ROLLBACK');
      failed ??= Object.assign(
        new Error(
          'the script left a transaction open, which was rolled back: end it in the script, or ' +
            'use pool.transaction()',
        ),
        { code: 'POOL_MISUSE' },
      );
    }
    this.#outbox.done(task, connection.db.inTransaction, failed);
    this.#tellRetries();
  }

  #cursor(command: Command & { type: 'cursor' }): void {
    this.#cursors.drain();
    const { connection, transactions } = this.#working;
    try {
      transactions.goesOn();
      transactions.check();
      const reader = new WordReader(command.words);
      const id = reader.number();
      const { kind, mayRollback } = this.#runner.classification(id);
      if (kind !== 'read' || mayRollback) return this.#whole(command);
      const cursor = new Cursor(this.#runner.fresh(connection, id), reader);
      this.#cursors.add(command.cursor, cursor);
    } catch (error) {
      transactions.failed(error);
      const words = this.#outbox.failed(error);
      const { inTransaction } = connection.db;
      return this.#outbox.push({
        ...{ type: 'chunk', task: command.task, done: true, inTransaction, words },
      });
    }
    this.#fetch(command);
  }

  /** What writes runs to its end at once, where locks and undone transactions are looked after. */
  #whole({ task, words }: Command & { type: 'cursor' }): void {
    const { connection, transactions } = this.#working;
    let out: Words = [];
    try {
      transactions.run(task, new WordReader(words), out);
    } catch (error) {
      out = this.#outbox.failed(error);
    }
    const { inTransaction } = connection.db;
    this.#outbox.push({ type: 'chunk', task, done: true, inTransaction, words: out });
  }

  #fetch({ task, cursor: id, rows }: Command & { type: 'fetch' | 'cursor' }): void {
    let words: Words = [];
    let done = true;
    try {
      const cursor = this.#cursors.get(id);
      if (cursor === undefined) throw new Error(`cursor ${id} is not open`);
      this.#working.transactions.fetch(task, () => cursor.fetch(this.#runner, rows, words));
      done = cursor.done;
    } catch (error) {
      this.#working.transactions.failed(error);
      words = this.#outbox.failed(error);
    }
    const { inTransaction } = this.#working.connection.db;
    this.#outbox.push({ type: 'chunk', task, done, inTransaction, words });
  }

  #feed({ task, on, rowids }: Command & { type: 'feed' }): void {
    const { connection } = this.#working;
    const { feed } = connection;
    feed?.end();
    connection.feed = on ? new Feed(connection, rowids, feed !== undefined) : undefined;
    this.#outbox.feed = connection.feed;
    this.#outbox.done(task, connection.db.inTransaction);
  }

  #checkpoint(command: Command & { type: 'checkpoint' }): void {
    const { connection } = this.#working;
    try {
      const outcome = runCheckpoint(connection, command);
      this.#outbox.push({ type: 'checkpoint', task: command.task, ...outcome });
    } catch (error) {
      this.#outbox.done(command.task, connection.db.inTransaction, error);
    }
  }

  /** https://sqlite.org/pragma.html#pragma_optimize says when: before a connection closes. */
  #close({ task, checkpoint }: Command & { type: 'close' }): void {
    let failed: unknown;
    let outcome: CheckpointOutcome | undefined;
    if (this.#opened !== undefined) {
      const { connection } = this.#opened;
      this.#cursors.clear();
      try {
        if (connection.db.inTransaction) connection.control('ROLLBACK');
        connection.gate?.close();
        connection.gate = undefined;
        const { file, readonly } = this.#data.connection;
        if (!isMemory(file) && !readonly && Atomics.load(this.#data.control, Control.hurry) === 0) {
          connection.pragma('optimize');
          if (checkpoint) {
            const patience = Math.min(LAST_PATIENCE, this.#data.connection.busyTimeout);
            outcome = runCheckpoint(connection, { mode: 'TRUNCATE', least: 0, patience });
          }
        }
      } catch (error) {
        failed = error;
      }
      connection.close();
    }
    if (outcome === undefined) this.#outbox.done(task, false, failed);
    else this.#outbox.push({ type: 'checkpoint', task, ...outcome });
  }
}
