import { checkBatch } from './batch.js';
import type { GivenUp } from './call-limits.js';
import { holdingOf } from './context.js';
import type { Database } from './database.js';
import { PoolError, shorten } from './errors.js';
import { channels, type StatementMessage } from './observing/channels.js';
import { type InlineReader, NOT_HERE } from './reading/inline.js';
import { isReadonlyRefusal, type ReadTask } from './reading/task.js';
import type { Statement } from './statements/catalogue.js';
import { type BoundParams, checkParams, ownedParams } from './statements/params.js';
import type { BatchStatement, CallOptions } from './surface.js';
import { anew, errorOf, thrownLater } from './threads/failure.js';
import { Method } from './threads/protocol.js';
import { Failed } from './threads/result.js';
import type { WriterHolder } from './writing/holder.js';
import { hasPassed, holdsReads } from './writing/reads-behind.js';
import { Unit, type UnitStatement } from './writing/unit.js';

/** One of so many reads is timed for the statistics: on the calling thread, on the others. */
const SAMPLED = 64;
const THREADED_SAMPLED = 8;

/** A read that waits for the writes issued before it. */
interface HeldRead {
  /** The number of the last of them. */
  readonly after: number;
  readonly task?: ReadTask;
  go(): void;
  refuse(error: Error): void;
}

type Settle = (result: unknown) => void;

/** Runs work that needs the writer for itself. */
type OnTurn = <T>(
  sql: string,
  work: (holder: WriterHolder) => Promise<T>,
  options: CallOptions | undefined,
) => Promise<T>;

/** Routes statements that stand alone: to the calling thread, a reader, or a group of writes. */
export class OneShot {
  readonly #database: Database;
  readonly #readYourWrites: boolean;
  readonly #onTurn: OnTurn;
  #held: HeldRead[] = [];
  #inlineCalls = 0;
  #threadedCalls = 0;

  constructor(database: Database, onTurn: OnTurn) {
    this.#database = database;
    this.#onTurn = onTurn;
    this.#readYourWrites = database.options.readYourWrites;
    database.onWritesSettled = () => this.#releaseReads();
  }

  get held(): number {
    return this.#held.length;
  }

  /** The way of a call that gives rows: most of them end in its first lines. */
  rows(method: Method, sql: string, params: unknown, options: CallOptions | undefined) {
    const database = this.#database;
    try {
      const statement = database.statement(sql);
      const bound = checkParams(sql, params, statement.classification);
      if (options === undefined && statement.cheap && method <= Method.firstValues) {
        const result = this.#inline(statement, method, bound);
        if (result !== NOT_HERE) return Promise.resolve(result);
      }
      return this.#rows(method, statement, ownedParams(bound), options);
    } catch (error) {
      return Promise.reject(error);
    }
  }

  /** The way of a call for its effect. */
  run(method: Method, sql: string, params: unknown, options: CallOptions | undefined) {
    const database = this.#database;
    try {
      const statement = database.statement(sql);
      const bound = ownedParams(checkParams(sql, params, statement.classification));
      if (!database.limits.apply(options)) return this.#write(statement, method, bound);
      return this.#limitedWrite(statement, method, bound, options);
    } catch (error) {
      return Promise.reject(error);
    }
  }

  /** One transaction and one trip for several statements. */
  batch(statements: readonly BatchStatement[], options: CallOptions | undefined) {
    try {
      const batch = checkBatch(this.#database, statements);
      const [first] = batch;
      if (first === undefined) return Promise.resolve([]);
      const { sql } = first.statement;
      let unit: Unit | undefined;
      const start = () =>
        this.#settled((settle) => {
          unit = this.#submit(first, batch, settle);
        });
      return this.#database.limits.keep(options, sql, start, () => this.#giveUp(unit));
    } catch (error) {
      return Promise.reject(error);
    }
  }

  #inline(statement: Statement, method: Method, params: BoundParams): unknown {
    const { inline, writer, refusal } = this.#database;
    if (inline === undefined || inline.held || refusal !== undefined) return NOT_HERE;
    if (this.#readYourWrites && holdsReads(writer)) return NOT_HERE;
    if (inline.isSpent) return this.#inlineLater(inline, statement, method, params);
    if (channels.statement.hasSubscribers || ++this.#inlineCalls % SAMPLED === 0) {
      return this.#inlineObserved(inline, statement, method, params);
    }
    return inline.run(statement, method, params);
  }

  /** The same read in the next turn of the event loop, by whatever way is right then. */
  #inlineLater(
    inline: InlineReader,
    statement: Statement,
    method: Method,
    params: BoundParams,
  ): Promise<unknown> {
    const owned = ownedParams(params);
    return new Promise((resolve, reject) => {
      inline.defer(() => {
        try {
          const result = statement.cheap ? this.#inline(statement, method, owned) : NOT_HERE;
          resolve(result === NOT_HERE ? this.#rows(method, statement, owned, undefined) : result);
        } catch (error) {
          reject(error);
        }
      });
    });
  }

  #inlineObserved(
    inline: InlineReader,
    statement: Statement,
    method: Method,
    params: BoundParams,
  ): unknown {
    const started = performance.now();
    const observed = this.#observed(statement, 'inline', () => {});
    try {
      const result = inline.run(statement, method, params);
      if (result !== NOT_HERE) {
        this.#database.latency.inline.record(performance.now() - started);
        observed(result);
      }
      return result;
    } catch (error) {
      observed(error);
      throw error;
    }
  }

  #rows(
    method: Method,
    statement: Statement,
    params: BoundParams,
    options: CallOptions | undefined,
  ): Promise<unknown> {
    const { readers } = this.#database;
    const reads = options?.access === undefined ? statement.isRead : options.access === 'read';
    if (!reads || readers === undefined) {
      return this.#limitedWrite(statement, method, params, options);
    }
    const { limits } = this.#database;
    if (!limits.apply(options)) {
      return this.#settled((settle) => this.#read(statement, method, params, settle));
    }
    let task: ReadTask | undefined;
    const start = () =>
      this.#settled((settle) => {
        task = this.#read(statement, method, params, settle);
      });
    const giveUp = () => {
      if (task !== undefined && !this.#unhold(task)) readers.stop(task);
      return 'nothing' as const;
    };
    return limits.keep(options, statement.sql, start, giveUp);
  }

  #limitedWrite(
    statement: Statement,
    method: Method,
    params: BoundParams,
    options: CallOptions | undefined,
  ): Promise<unknown> {
    if (isAlone(statement)) return this.#alone(statement, method, params, options);
    let unit: Unit | undefined;
    const start = () =>
      this.#write(statement, method, params, (sent) => {
        unit = sent;
      });
    // Of a read, which is here because there are no readers, nothing can be stored.
    const reads = statement.isRead && options?.access !== 'write';
    const giveUp = () => {
      const outcome = this.#giveUp(unit);
      return reads ? 'nothing' : outcome;
    };
    return this.#database.limits.keep(options, statement.sql, start, giveUp);
  }

  /** Gives up a write; reads that waited for it need not any more. */
  #giveUp(unit: Unit | undefined): GivenUp {
    if (unit === undefined) return 'nothing';
    const outcome = this.#database.writer.stop(unit);
    if (outcome === 'nothing') this.#releaseReads();
    return outcome;
  }

  #write(
    statement: Statement,
    method: Method,
    params: BoundParams,
    sent?: (unit: Unit) => void,
  ): Promise<unknown> {
    if (isAlone(statement)) return this.#alone(statement, method, params);
    return this.#settled((settle) => {
      const unit = this.#submit({ statement, method, params }, undefined, settle);
      sent?.(unit);
    });
  }

  #submit(first: UnitStatement, batch: UnitStatement[] | undefined, settle: Settle): Unit {
    const database = this.#database;
    if (database.refusal !== undefined) throw database.refusal;
    this.refuseSelfWait(first.statement.sql);
    const { writer } = database;
    const observed = channels.statement.hasSubscribers
      ? this.#observed(first.statement, 'writer', settle)
      : settle;
    const unit = new Unit(first, batch, observed, writer.now);
    writer.submit(unit);
    return unit;
  }

  /** A write inside a transaction of the same pool, but not through it, would wait for itself. */
  refuseSelfWait(sql: string): void {
    if (this.#database.options.selfWait === 'wait') return;
    const holding = holdingOf(this.#database);
    if (holding === undefined) return;
    throw new PoolError(
      'POOL_DEADLOCK',
      `this code runs inside a ${holding.what} of the same pool and would wait for it to end: use ` +
        `the handle that the ${holding.what} gave you, or await the ${holding.what} first. SQL: ` +
        shorten(sql),
    );
  }

  /** VACUUM, ATTACH, settings: a turn of their own, outside any transaction. */
  async #alone(
    statement: Statement,
    method: Method,
    params: BoundParams,
    options?: CallOptions,
  ): Promise<unknown> {
    const { kind } = statement.classification;
    const { sql } = statement;
    if (kind !== 'alone' && kind !== 'empty') {
      throw new PoolError(
        'POOL_MISUSE',
        `a pool has many connections, so it cannot run ${kind.toUpperCase()} by itself: use ` +
          `pool.transaction() or pool.lease('write'). SQL: ${shorten(sql)}`,
      );
    }
    return this.#onTurn(sql, (holder) => holder.execute(statement, method, params), options);
  }

  #read(statement: Statement, method: Method, params: BoundParams, settle: Settle): ReadTask {
    const { readers, writer, refusal } = this.#database;
    if (refusal !== undefined) throw refusal;
    const task = {
      statement,
      method,
      params,
      urgent: holdingOf(this.#database) !== undefined,
      settle: this.#threadedSettle(statement, method, params, settle),
    };
    if (this.#readYourWrites && holdsReads(writer)) {
      this.#held.push({
        after: writer.groups.issued,
        task,
        go: () => readers?.submit(task),
        refuse: (error) => task.settle(error),
      });
    } else {
      readers?.submit(task);
    }
    return task;
  }

  /** What becomes of a read's result: what SQLite refuses to a reader goes to the writer. */
  #threadedSettle(
    statement: Statement,
    method: Method,
    params: BoundParams,
    settle: Settle,
  ): Settle {
    const observed = this.#observed(statement, 'reader', settle);
    const started = ++this.#threadedCalls % THREADED_SAMPLED === 0 ? performance.now() : undefined;
    return (result) => {
      if (isReadonlyRefusal(result) && !this.#database.options.connection.readonly) {
        this.#database.counts.rerouted++;
        settle(this.#write(statement, method, params));
        return;
      }
      if (started !== undefined) this.#database.latency.read.record(performance.now() - started);
      observed(result);
    };
  }

  /** Resolves once the writes issued so far are answered, or wait behind a turn. */
  writesBefore(): Promise<void> {
    const { writer } = this.#database;
    if (!this.#readYourWrites || !holdsReads(writer)) return Promise.resolve();
    return new Promise((resolve) => {
      this.#held.push({
        after: writer.groups.issued,
        go: () => resolve(),
        refuse: () => resolve(),
      });
    });
  }

  #unhold(task: ReadTask): boolean {
    const at = this.#held.findIndex((held) => held.task === task);
    if (at >= 0) this.#held.splice(at, 1);
    return at >= 0;
  }

  /** Lets those reads go whose writes were answered, or wait behind a turn. */
  #releaseReads(): void {
    if (this.#held.length === 0) return;
    const { writer, refusal } = this.#database;
    const ready: HeldRead[] = [];
    for (const held of this.#held) {
      if (refusal === undefined && !hasPassed(writer, held.after)) break;
      ready.push(held);
    }
    this.#held = this.#held.slice(ready.length);
    for (const held of ready) {
      if (refusal === undefined) held.go();
      else held.refuse(refusal);
    }
  }

  /** A promise of a result, whoever settles it. */
  #settled(start: (settle: Settle) => void): Promise<unknown> {
    return new Promise((resolve) => {
      start((result) => {
        if (result instanceof Failed) this.#failed(result, resolve);
        else if (result instanceof Error) resolve(thrownLater(() => anew(result)));
        else resolve(result);
      });
    });
  }

  #failed(result: Failed, resolve: (value: unknown) => void): void {
    const { driver } = this.#database.options.connection;
    resolve(thrownLater(() => errorOf(result.failure, driver)));
  }

  #observed(statement: Statement, route: StatementMessage['route'], settle: Settle): Settle {
    if (!channels.statement.hasSubscribers) return settle;
    const started = performance.now();
    return (result) => {
      const failed =
        result instanceof Failed
          ? (result.failure.code ?? result.failure.name)
          : result instanceof Error
            ? ((result as { code?: string }).code ?? result.name)
            : undefined;
      const message: StatementMessage = {
        'db.system.name': 'sqlite',
        'db.namespace': this.#database.options.file,
        'db.query.text': statement.sql,
        'db.operation.name': statement.sql.trimStart().split(/\s/, 1)[0]?.toUpperCase() ?? '',
        'db.response.returned_rows': Array.isArray(result) ? result.length : undefined,
        'error.type': failed,
        duration: (performance.now() - started) / 1000,
        route,
      };
      channels.statement.publish(message);
      settle(result);
    };
  }
}

/** Whether it cannot share a commit. A read may: for `run`, or because there are no readers. */
function isAlone(statement: Statement): boolean {
  const { kind } = statement.classification;
  return kind !== 'write' && kind !== 'read';
}
