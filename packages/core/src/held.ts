import type { Database } from './database.js';
import { PoolError, shorten } from './errors.js';
import { firstRow } from './first-row.js';
import { RowStream } from './row-stream.js';
import type { Statement } from './statements/catalogue.js';
import type { BoundParams, Params } from './statements/params.js';
import { controlsTransaction } from './statements/script.js';
import type {
  AnyRow,
  CallOptions,
  GetOptions,
  IterateOptions,
  Statements,
  Transaction,
} from './surface.js';
import type { RunResult } from './threads/engine.js';
import { Method } from './threads/protocol.js';
import { type RemoteCursor, StopHandle } from './threads/remote.js';
import type { StatementResult } from './threads/result.js';
import type { FirstCall } from './writing/turn.js';

/** What a held connection is reached through: the writer for one turn, or a reader's session. */
export interface Channel {
  /** With a handle, its caller may stop it. */
  execute(
    statement: Statement,
    method: Method,
    params: BoundParams,
    handle?: StopHandle,
  ): Promise<unknown>;
  exec(script: string, alone?: boolean, handle?: StopHandle): Promise<unknown>;
  cursor(statement: Statement, method: Method, params: BoundParams, rows: number): RemoteCursor;
}

/** Statements on a connection that somebody holds. */
export abstract class Held implements Statements {
  protected readonly database: Database;
  /** Streams that were begun here and are not over. */
  readonly #streams = new Set<RemoteCursor>();

  constructor(database: Database) {
    this.database = database;
  }

  /** What it is called in messages. */
  protected abstract readonly what: string;
  /** Throws where it is over. */
  protected abstract check(sql: string): void;
  /** Throws where it is over. */
  protected abstract channel(sql: string): Channel | Promise<Channel>;
  /** Whether a transaction is open that no script may end. */
  protected abstract readonly refusesControl: boolean;
  /** A call waits for its channel. */
  protected waits(_call: FirstCall): void {}
  /** Statements that begin and end transactions are not for everyone. */
  protected abstract control(statement: Statement, method: Method): Promise<unknown> | undefined;

  /** Throws where a script of this text cannot run here. */
  protected checkScript(script: string): void {
    if (!this.refusesControl || !controlsTransaction(script)) return;
    throw new PoolError(
      'POOL_MISUSE',
      `a script cannot begin or end a transaction inside the one of this ${this.what}. SQL: ` +
        shorten(script),
    );
  }

  all<Row = AnyRow>(sql: string, params?: Params, options?: CallOptions): Promise<Row[]> {
    return this.#run(Method.all, sql, params, options) as Promise<Row[]>;
  }

  get<Row = AnyRow>(sql: string, params?: Params, options?: GetOptions): Promise<Row | undefined> {
    return firstRow(options, (method, limits) => this.#run(method, sql, params, limits)) as Promise<
      Row | undefined
    >;
  }

  values<Row extends unknown[] = unknown[]>(
    sql: string,
    params?: Params,
    options?: CallOptions,
  ): Promise<Row[]> {
    return this.#run(Method.values, sql, params, options) as Promise<Row[]>;
  }

  run(sql: string, params?: Params, options?: CallOptions): Promise<RunResult> {
    return this.#run(Method.run, sql, params, options) as Promise<RunResult>;
  }

  query<Row = AnyRow>(
    sql: string,
    params?: Params,
    options?: CallOptions,
  ): Promise<StatementResult<Row>> {
    return this.#run(Method.query, sql, params, options) as Promise<StatementResult<Row>>;
  }

  async exec(script: string, options?: CallOptions): Promise<void> {
    this.database.checkScript(script);
    this.checkScript(script);
    const handle = this.database.limits.apply(options) ? new StopHandle() : undefined;
    const start = async () => {
      const channel = await this.channel(script);
      if (handle?.isStopped === true) return undefined;
      return channel.exec(script, false, handle);
    };
    await this.database.limits.keep(options, shorten(script), start, () => stopHeld(handle));
  }

  iterate<Row = AnyRow>(
    sql: string,
    params?: Params,
    options: IterateOptions = {},
  ): AsyncIterableIterator<Row> {
    const { database } = this;
    const { statement, bound } = database.bound(sql, params);
    const method = options.rows === 'array' ? Method.values : Method.all;
    const chunkSize = database.chunkSize(options);
    const source = {
      open: async () => {
        const channel = await this.channel(sql);
        return this.#stream(sql, channel.cursor(statement, method, bound, chunkSize));
      },
      release: () => {},
    };
    return new RowStream(source, database, sql, options);
  }

  /** A stream lives no longer than what it was begun on. */
  #stream(sql: string, cursor: RemoteCursor): RemoteCursor {
    const stream: RemoteCursor = {
      fetch: async () => {
        this.check(sql);
        try {
          return await cursor.fetch();
        } catch (error) {
          // What it was begun on may have ended meanwhile, which stopped it.
          this.check(sql);
          throw error;
        }
      },
      close: () => {
        if (this.#streams.delete(stream)) cursor.close();
      },
    };
    this.#streams.add(stream);
    return stream;
  }

  /** Ends the streams that nobody has read to their end: the connection is another's next. */
  protected closeStreams(): void {
    for (const stream of this.#streams) stream.close();
  }

  #run(
    method: Method,
    sql: string,
    params: Params | undefined,
    options: CallOptions | undefined,
  ): Promise<unknown> {
    try {
      const { statement, bound } = this.database.bound(sql, params);
      const control = this.control(statement, method);
      if (control !== undefined) return control;
      const channel = this.channel(sql);
      const { limits } = this.database;
      const handle = limits.apply(options) ? new StopHandle() : undefined;
      if (channel instanceof Promise && handle === undefined) {
        this.waits({ statement, method, params: bound });
      }
      const start =
        channel instanceof Promise
          ? async () => {
              const mine = await channel;
              return handle?.isStopped === true
                ? undefined
                : mine.execute(statement, method, bound, handle);
            }
          : () => channel.execute(statement, method, bound, handle);
      if (handle === undefined) return start();
      return limits.keep(options, sql, start, () => stopHeld(handle));
    } catch (error) {
      return Promise.reject(error);
    }
  }
}

/** Whoever holds a connection learns what a statement did by what comes after it. */
function stopHeld(handle: StopHandle | undefined): 'nothing' {
  handle?.stop();
  return 'nothing';
}

/** What a transaction's callback gets: the statements, and savepoints. */
export class TransactionHandle extends Held implements Transaction {
  protected readonly what: string;
  protected readonly refusesControl = true;
  readonly #channel: Channel;
  /** The handle whose savepoint this one is. */
  readonly #outer: TransactionHandle | undefined;
  readonly #depth: number;
  #ended: string | undefined;
  #inner = false;

  constructor(database: Database, channel: Channel, what: string, outer?: TransactionHandle) {
    super(database);
    this.#channel = channel;
    this.what = what;
    this.#outer = outer;
    this.#depth = outer === undefined ? 0 : outer.#depth + 1;
  }

  /** Refuses what comes hereafter; `how` tells what became of it. */
  end(how: string): void {
    this.#ended = how;
    this.closeStreams();
  }

  protected channel(sql: string): Channel {
    this.check(sql);
    return this.#channel;
  }

  protected check(sql: string): void {
    this.#outer?.check(sql);
    if (this.#ended !== undefined) {
      throw new PoolError(
        'POOL_MISUSE',
        `this ${this.what} has ended (${this.#ended}): await every statement before its callback ` +
          `returns. SQL: ${shorten(sql)}`,
      );
    }
  }

  protected control(statement: Statement): undefined {
    const { kind } = statement.classification;
    if (kind !== 'begin' && kind !== 'commit' && kind !== 'rollback') return undefined;
    this.channel(statement.sql);
    throw new PoolError(
      'POOL_MISUSE',
      `a ${this.what} begins and ends with its callback: return from it to commit, throw to roll ` +
        `back; savepoint() nests. SQL: ${shorten(statement.sql)}`,
    );
  }

  async savepoint<T>(work: (tx: Transaction) => Promise<T>): Promise<T> {
    const channel = this.channel('SAVEPOINT');
    if (this.#inner) {
      throw new PoolError(
        'POOL_MISUSE',
        'a savepoint of this transaction is open: nest through the handle that its callback got, ' +
          'or await it first',
      );
    }
    this.#inner = true;
    const name = `poolite_${this.#depth + 1}`;
    const { catalogue } = this.database;
    const run = (sql: string) => channel.execute(catalogue.get(sql), Method.run, undefined);
    const inner = new TransactionHandle(this.database, channel, 'savepoint', this);
    try {
      await run(`SAVEPOINT ${name}`);
      let result: T;
      try {
        result = await work(inner);
      } catch (error) {
        inner.end('rolled back');
        await this.#undo(run, name, error);
        throw error;
      }
      inner.end('released');
      await run(`RELEASE ${name}`);
      return result;
    } finally {
      this.#inner = false;
    }
  }

  /** The error of the work is what its caller must hear, also where SQLite undid it all before. */
  async #undo(run: (sql: string) => Promise<unknown>, name: string, cause: unknown): Promise<void> {
    try {
      await run(`ROLLBACK TO ${name}`);
      await run(`RELEASE ${name}`);
    } catch {
      throw cause;
    }
  }
}
