import type { WriterTools } from './group-run.js';
import type { Outbox } from './outbox.js';
import { type Command, WordReader, type Words } from './protocol.js';

/** What SQLite tells of the last statement, and does not take back with a savepoint. */
type Told = readonly [changes: number | bigint, rowid: number | bigint];

const NOT_NOW = new Error(
  'a statement that ran ahead failed, or others must not run behind this one',
);

/**
 * The first statements of transactions whose turn is still to come, run while the caller of the
 * transaction before them thinks: each in a savepoint above the last. Nobody hears of them before
 * that transaction has ended. Where it goes on instead, they are undone and will run again.
 */
export class AheadRun {
  readonly #tools: WriterTools;
  readonly #outbox: Outbox;
  /** What the open transaction was told before any of these ran, and what each of them was. */
  #before: Told = [0, 0];
  #told: Told[] = [];
  /** Whether one has failed: then none may follow. */
  #hasFailed = false;

  constructor(tools: WriterTools, outbox: Outbox) {
    this.#tools = tools;
    this.#outbox = outbox;
  }

  /**
   * Runs one more, or refuses to: then it runs in its turn, as does what fails here. A refusal without
   * an error says that others would be refused as well.
   *
   * @param mayFollow whether the open transaction may be followed by another in the same commit.
   * @throws what undid the whole transaction.
   */
  run({ task, words }: Command & { type: 'ahead' }, mayFollow: () => boolean): void {
    const out: Words = [];
    const may = this.#may(mayFollow);
    const hasRun = may === 'run' && this.#run(words, out);
    const { inTransaction } = this.#tools.connection.db;
    if (hasRun) this.#outbox.push({ type: 'held', task, inTransaction, words: out });
    else this.#outbox.done(task, inTransaction, may === 'not' ? undefined : NOT_NOW);
  }

  #may(mayFollow: () => boolean): 'run' | 'not' | 'not now' {
    // What is told of now may be told of what has failed.
    if (this.#hasFailed) return 'not now';
    let told = this.#told.at(-1);
    if (told === undefined) {
      const { connection } = this.#tools;
      // Both are told of each statement that runs, and of none that it is undone.
      if (connection.feed !== undefined || connection.gate !== undefined) return 'not';
      if (!mayFollow()) return 'not';
      told = connection.changes();
      this.#before = told;
    }
    return isRestorable(told) ? 'run' : 'not now';
  }

  #run(words: Words, out: Words): boolean {
    const { connection, runner } = this.#tools;
    const reader = new WordReader(words);
    connection.control('SAVEPOINT poolite_transaction');
    try {
      runner.run(connection, reader.number(), reader, out);
      this.#told.push(connection.changes());
      return true;
    } catch (error) {
      // https://sqlite.org/lang_transaction.html#response_to_errors_within_a_transaction
      if (!connection.db.inTransaction) throw error;
      connection.undo('poolite_transaction');
      this.#hasFailed = true;
      return false;
    }
  }

  /** The turn of the first one has come: its transaction is the open one now. */
  take(): void {
    const told = this.#told.shift();
    if (told === undefined) throw new Error('nothing ran ahead');
    this.#before = told;
  }

  /** Undoes them: the transaction before them ends without them. */
  drop(): void {
    for (const _ of this.#told) this.#tools.connection.undo('poolite_transaction');
    this.forget();
  }

  /** Undoes them: the transaction before them goes on, as if they had not run. */
  undo(): void {
    if (this.#told.length === 0 && !this.#hasFailed) return;
    this.drop();
    this.#tools.connection.tellInsert(BigInt(this.#before[1]));
  }

  /** They are gone with the transaction. */
  forget(): void {
    if (this.#told.length > 0) this.#told = [];
    this.#hasFailed = false;
  }
}

/** Whether SQLite can be made to tell this once more: see `Connection.tellInsert`. */
function isRestorable([changes, rowid]: Told): boolean {
  return Number(changes) === 1 && Number.isSafeInteger(Number(rowid));
}
