import type { BusyWaiter } from './busy.js';
import { commitFailure } from './commit-doubt.js';
import type { Connection } from './connection.js';
import { isRefusedCommit, runsAgain } from './gate.js';
import { Ledger, type Once } from './ledger.js';
import type { Outbox } from './outbox.js';
import { inOwnCommit } from './own-commit.js';
import {
  BATCH,
  type Command,
  Control,
  ONCE,
  Outcome,
  unitTicket,
  unitWord,
  WordReader,
  type Words,
} from './protocol.js';
import type { Runner } from './runner.js';
import { interrupted, isInterrupted, type Running } from './running.js';

export interface WriterTools {
  connection: Connection;
  runner: Runner;
  busy: BusyWaiter;
  control: Int32Array;
  running: Running;
}

/** A group ends early once it has run so long, in ms: its first caller has waited enough. */
const LONGEST_GROUP = 20;
/** The clock is read once in so many units: it costs a tenth of an insert. */
const UNITS_PER_LOOK = 8;

/**
 * Runs groups of one-shot writes: one transaction, one commit, an outcome for each. A unit is one
 * statement or one batch.
 */
export class GroupRun {
  readonly #tools: WriterTools;
  readonly #outbox: Outbox;
  /** How many groups ended early. */
  #early = 0;
  /** The statement of a batch at which SQLite undid the whole transaction. */
  #undoneAt: number | undefined;
  readonly #ledger: Ledger;
  /** The group that runs. */
  #group = 0;

  constructor(tools: WriterTools, outbox: Outbox) {
    this.#tools = tools;
    this.#outbox = outbox;
    this.#ledger = new Ledger(tools.connection, tools.runner.encoder);
  }

  run({ early, group, words }: Command & { type: 'group' }): void {
    if (early !== this.#early) {
      // It was sent behind a group that ended early: the rest of that one comes first.
      return this.#outbox.push({ type: 'group', ran: 0, microseconds: 0, words: [] });
    }
    this.#group = group;
    const started = performance.now();
    const reader = new WordReader(words);
    const units = reader.number();
    const out: Words = [];
    let ran = units;
    if (units === 1) this.#alone(reader, out, 0);
    else ran = this.#all(reader, units, out);
    if (ran < units) this.#early++;
    const microseconds = Math.round((performance.now() - started) * 1000);
    this.#outbox.push({ type: 'group', ran, microseconds, words: out });
  }

  /** Returns how many units were run. */
  #all(reader: WordReader, units: number, out: Words): number {
    for (let tries = 0; ; tries++) {
      try {
        return this.#together(reader, units, out);
      } catch (error) {
        // SQLite undid them all.
        out.length = 0;
        reader.at = 1;
        if (runsAgain(error)) continue;
        const isClosing = Atomics.load(this.#tools.control, Control.hurry) === 1;
        // Who interrupted one of them has given it up: the others run again without it.
        const isOver = isClosing || isRefusedCommit(error);
        if (!isOver && (!isInterrupted(error) || tries > units)) break;
        if (isOver) {
          const failed = this.#outbox.failed(error);
          for (let i = 0; i < units; i++) out.push(...failed);
          return units;
        }
      }
    }
    // A ROLLBACK clause, a full disk, a commit that failed. Each runs again alone, so that only the
    // one at fault fails, and tells its own error.
    for (let i = 0; i < units; i++) this.#alone(reader, out, i);
    return units;
  }

  /** Returns how many units were run and committed. Throws where the transaction is undone. */
  #together(reader: WordReader, units: number, out: Words): number {
    const { connection, busy } = this.#tools;
    const started = performance.now();
    try {
      busy.run(() => connection.control('BEGIN IMMEDIATE'));
    } catch (error) {
      const failed = this.#outbox.failed(error);
      for (let i = 0; i < units; i++) out.push(...failed);
      return units;
    }
    let ran = 0;
    try {
      while (ran < units) {
        this.#unit(reader, out, ran);
        ran++;
        if (ran % UNITS_PER_LOOK === 0 && performance.now() - started > LONGEST_GROUP) break;
      }
      this.#commit();
      return ran;
    } catch (error) {
      if (connection.db.inTransaction) connection.control('ROLLBACK');
      this.#ledger.undone();
      throw error;
    }
  }

  #commit(): void {
    const { connection, control } = this.#tools;
    Atomics.store(control, Control.committing, 1);
    connection.control('COMMIT');
  }

  /** One unit of a group. A failure is its outcome, unless it undid the transaction. */
  #unit(reader: WordReader, out: Words, index: number): void {
    const { connection, running } = this.#tools;
    const start = reader.at;
    running.begin(unitTicket(this.#group, index), connection.number);
    try {
      if (running.claims(unitWord(this.#group, index), this.#group)) {
        const first = reader.number();
        if (first === ONCE) this.#once(reader, out, index);
        else this.#one(reader, out, index, first);
      } else {
        out.push(...this.#outbox.failed(interrupted()));
        reader.at = start;
        this.#skip(reader);
      }
    } finally {
      running.end();
    }
  }

  #one(reader: WordReader, out: Words, index: number, first: number): void {
    const { connection, runner } = this.#tools;
    if (first === BATCH) return this.#batch(reader, out, index);
    const start = reader.at - 1;
    const length = out.length;
    try {
      runner.run(connection, first, reader, out);
    } catch (error) {
      if (!connection.db.inTransaction) throw error;
      out.length = length;
      out.push(...this.#outbox.failed(error));
      reader.at = start;
      this.#skip(reader);
    }
  }

  /** A unit in a transaction of its own. */
  #alone(reader: WordReader, out: Words, index: number): void {
    const { connection, runner, busy, control, running } = this.#tools;
    const start = reader.at;
    const length = out.length;
    const word = unitWord(this.#group, index);
    Atomics.store(control, Control.committing, 1);
    running.begin(unitTicket(this.#group, index), connection.number);
    try {
      if (!running.claims(word, this.#group)) throw interrupted();
      const work = () => {
        reader.at = start;
        out.length = length;
        this.#undoneAt = undefined;
        const first = reader.number();
        // One statement needs no BEGIN, save where somebody must be asked before its COMMIT.
        if (first === BATCH) this.#batch(reader, out, index);
        else if (first === ONCE) this.#once(reader, out, index);
        else runner.run(connection, first, reader, out);
      };
      const isOne = (reader.words[start] as number) >= 0 && connection.gate === undefined;
      const undone = () => this.#ledger.undone();
      busy.run(isOne ? work : () => inOwnCommit(connection, work, undone), word, this.#group);
    } catch (error) {
      out.length = length;
      out.push(...this.#outbox.failed(commitFailure(error), this.#undoneAt));
      reader.at = start;
      this.#skip(reader);
    } finally {
      running.end();
    }
  }

  /** A unit that was perhaps done before: then it has its result already. */
  #once(reader: WordReader, out: Words, index: number): void {
    const once = readOnce(reader);
    const known = this.#ledger.find(once);
    if (known !== undefined) {
      out.push(...known);
      return this.#skip(reader);
    }
    const from = out.length;
    this.#one(reader, out, index, reader.number());
    // What failed has changed nothing: it may be tried again.
    if (out[from] !== Outcome.error) this.#ledger.add(once, out.slice(from));
  }

  #skip(reader: WordReader): void {
    let first = reader.number();
    if (first === ONCE) {
      readOnce(reader);
      first = reader.number();
    }
    const statements = first === BATCH ? reader.number() : 1;
    for (let i = 0; i < statements; i++) {
      if (first === BATCH) reader.number();
      reader.method();
      reader.params();
    }
  }

  /** All of its statements or none: a savepoint, since others share the transaction. */
  #batch(reader: WordReader, out: Words, index: number): void {
    const { connection, runner, running } = this.#tools;
    const word = unitWord(this.#group, index);
    const start = reader.at - 1;
    const statements = reader.number();
    const length = out.length;
    connection.control('SAVEPOINT poolite_batch');
    out.push(Outcome.batch, statements);
    let i = 0;
    try {
      for (; i < statements; i++) {
        // An interrupt between two statements would be in vain.
        if (running.isGivenUp(word, this.#group)) throw interrupted();
        runner.run(connection, reader.number(), reader, out);
      }
      connection.control('RELEASE poolite_batch');
    } catch (error) {
      if (!connection.db.inTransaction) {
        this.#undoneAt = i;
        throw error;
      }
      connection.undo('poolite_batch');
      out.length = length;
      out.push(...this.#outbox.failed(error, i));
      reader.at = start;
      this.#skip(reader);
    }
  }
}

function readOnce(reader: WordReader): Once {
  const client = String(reader.words[reader.at++]);
  return { client, number: reader.number(), answered: reader.number() };
}
