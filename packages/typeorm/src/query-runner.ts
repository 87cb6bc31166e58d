import type { ReadStream } from 'node:fs';
import type { Pool } from '@poolite/core';
import {
  type EntityManager,
  type ObjectLiteral,
  QueryFailedError,
  QueryRunnerAlreadyReleasedError,
  type Table,
  TableColumn,
} from 'typeorm';
import { BetterSqlite3QueryRunner } from 'typeorm/driver/better-sqlite3/BetterSqlite3QueryRunner.js';
import type { IsolationLevel } from 'typeorm/driver/types/IsolationLevel.js';
import type { ReplicationMode } from 'typeorm/driver/types/ReplicationMode.js';
import { NamedPlaceholdersNotSupportedError } from 'typeorm/error/NamedPlaceholdersNotSupportedError.js';
import type { QueryResult } from 'typeorm/query-runner/QueryResult.js';
import { BroadcasterResult } from 'typeorm/subscriber/BroadcasterResult.js';
import { RunnerConnection } from './connection.js';
import type { PooliteDriver } from './driver.js';
import { inTypeOrmsWords } from './errors.js';
import { normalized, toParams } from './params.js';
import { readableOf } from './stream.js';

const DATA = Symbol('data');

/** TypeORM's way to clear a database names all tables that there are. */
const OWN_TABLES = /^DROP TABLE "poolite_(replica|requests)";$/;

/** What TypeORM runs its queries with: as many as there are callers, each on its own. */
export class PooliteQueryRunner extends BetterSqlite3QueryRunner {
  /** The driver that made it. */
  declare driver: PooliteDriver;
  #manager: EntityManager | undefined;
  /** The runner's data: TypeORM's constructor sets it before private fields are there. */
  declare [DATA]: ObjectLiteral;
  readonly #connection: RunnerConnection;
  /** Whether TypeORM made it for one call of save or remove. */
  #isPersisting = false;
  /** Whether nobody can have awaited anything since it was made. */
  #isNew = true;
  #isClearing = false;

  static {
    // TypeORM's own save and remove ask for it in the tick in which they make their runner, and begin
    // their transaction later. Nobody else's code runs between its begin and its first statement.
    Object.defineProperty(PooliteQueryRunner.prototype, 'data', {
      configurable: true,
      get(this: PooliteQueryRunner) {
        this.#isPersisting ||= this.#isNew;
        return this[DATA];
      },
      set(this: PooliteQueryRunner, data: ObjectLiteral) {
        this[DATA] = data;
      },
    });
    // Whoever asks for it inside a transaction goes on inside that transaction: the callback of
    // `transaction`, and whoever uses the query runner itself. Not so whoever called `transaction`
    // and goes on beside it.
    Object.defineProperty(PooliteQueryRunner.prototype, 'manager', {
      configurable: true,
      get(this: PooliteQueryRunner) {
        this.#connection.enter();
        return this.#manager;
      },
      set(this: PooliteQueryRunner, manager: EntityManager) {
        this.#manager = manager;
      },
    });
  }

  constructor(driver: PooliteDriver, mode: ReplicationMode) {
    super(driver);
    this.mode = mode;
    this.#connection = new RunnerConnection(driver, mode);
    queueMicrotask(() => {
      this.#isNew = false;
    });
  }

  /** Resolves to the pool, since no one connection is behind a query runner. */
  override async connect(): Promise<Pool> {
    this.#connection.enter();
    return this.driver.pool;
  }

  /** Gives back what it holds; an open transaction is rolled back. May be called again. */
  override release(): Promise<void> {
    if (this.isReleased) return Promise.resolve();
    this.isReleased = true;
    this.loadedTables = [];
    this.clearSqlMemory();
    this.isTransactionActive = false;
    this.transactionDepth = 0;
    return this.#connection.release();
  }

  /** Runs a statement where it belongs; see the README of the package. */
  override async query(
    query: string,
    // biome-ignore lint/suspicious/noExplicitAny: the types are TypeORM's own
    parameters: any[] = [],
    useStructuredResult = false,
    // biome-ignore lint/suspicious/noExplicitAny: the types are TypeORM's own
  ): Promise<any> {
    if (this.#isClearing && OWN_TABLES.test(query)) return [];
    this.#connection.enter();
    const values = this.#checked(parameters);
    const { logger, options, subscribers } = this.driver.dataSource;
    logger.logQuery(query, values, this);
    const broadcasterResult = subscribers.length > 0 ? new BroadcasterResult() : undefined;
    if (broadcasterResult) await this.broadcaster.broadcast('BeforeQuery', query, values);
    const startedAt = Date.now();
    try {
      const result = await this.#connection.execute(query, toParams(values));
      const took = Date.now() - startedAt;
      const { maxQueryExecutionTime } = options;
      if (maxQueryExecutionTime && took > maxQueryExecutionTime) {
        logger.logQuerySlow(took, query, values, this);
      }
      this.#broadcastAfter(broadcasterResult, query, values, { result, took });
      return useStructuredResult ? result : result.raw;
    } catch (thrown) {
      const error = inTypeOrmsWords(thrown) as Error;
      logger.logQueryError(error, query, values, this);
      this.#broadcastAfter(broadcasterResult, query, values, { error });
      throw new QueryFailedError(query, values, error);
    } finally {
      if (broadcasterResult) await broadcasterResult.wait();
    }
  }

  /** The rows of a query as a stream, on a connection of its own until it ends or is destroyed. */
  override async stream(
    query: string,
    // biome-ignore lint/suspicious/noExplicitAny: the types are TypeORM's own
    parameters: any[] = [],
    onEnd?: () => void,
    onError?: (error: Error) => void,
  ): Promise<ReadStream> {
    this.#connection.enter();
    const values = this.#checked(parameters);
    this.driver.dataSource.logger.logQuery(query, values, this);
    const rows = await this.#connection.stream(query, toParams(values));
    return readableOf(rows, onEnd, onError) as unknown as ReadStream;
  }

  /** On the writer, with BEGIN IMMEDIATE; one inside another is a savepoint. */
  override startTransaction(isolationLevel?: IsolationLevel): Promise<void> {
    this.#connection.enter();
    const outermost = this.transactionDepth === 0;
    // What is entered now stays entered for the caller. Where the runner is as old as the call,
    // that may be someone who goes on beside the transaction: see `manager`.
    if (outermost && !this.#isNew) {
      // To wait for the writer with the statement at hand, not before it is made, is what lets many
      // transactions follow one another closely. Where somebody's own code comes first, it has the writer.
      this.#connection.hold({ enter: true, early: this.#isPersisting }).catch(() => {});
    }
    return this.#connection.pinned(async () => {
      try {
        await super.startTransaction(isolationLevel);
      } catch (error) {
        if (outermost && this.transactionDepth === 0) {
          // Else it would seem to be in a transaction for ever; and a schema builder that fails
          // here never releases its runner.
          this.isTransactionActive = false;
          await this.#connection.endMigration();
        }
        throw error;
      }
    });
  }

  /** Turns foreign keys off, and holds the writer until `afterMigration`, or the release. */
  override beforeMigration(): Promise<void> {
    return this.#connection.beginMigration();
  }

  /** Turns foreign keys on again: inside a transaction, when that has ended. */
  override afterMigration(): Promise<void> {
    return this.#connection.endMigration();
  }

  /**
   * As TypeORM's own, with two differences in the tables that it makes for itself: that of views and generated columns
   * gets a primary key, which a pool with a store needs; and where another process or machine was faster to make one
   * of them, it is the one.
   */
  override async createTable(
    table: Table,
    ifNotExists?: boolean,
    createForeignKeys?: boolean,
    createIndices?: boolean,
  ): Promise<void> {
    const metadataTable = this.getTypeormMetadataTableName();
    if (table.name === metadataTable && table.primaryColumns.length === 0) {
      table.addColumn(new TableColumn({ name: 'id', type: 'integer', isPrimary: true }));
    }
    try {
      await super.createTable(table, ifNotExists, createForeignKeys, createIndices);
    } catch (error) {
      const { migrationsTableName = 'migrations' } = this.driver.dataSource.options;
      const isOwn = table.name === metadataTable || table.name === migrationsTableName;
      if (!isOwn || !(await this.hasTable(table))) throw error;
    }
  }

  /** Drops all tables and views, but for those in which a pool with a store keeps its place in the log. */
  override async clearDatabase(database?: string): Promise<void> {
    this.#isClearing = true;
    try {
      await super.clearDatabase(database);
    } finally {
      this.#isClearing = false;
    }
  }

  /** What a PRAGMA tells of a table, on the runner's own connection. */
  // biome-ignore lint/suspicious/noExplicitAny: the types are TypeORM's own
  protected override async loadPragmaRecords(tablePath: string, pragma: string): Promise<any> {
    const [database, tableName] = this.splitTablePath(tablePath);
    const schema = database ? `"${database}".` : '';
    const sql = `PRAGMA ${schema}${pragma}("${tableName}")`;
    return (await this.#connection.execute(sql, undefined)).records;
  }

  #checked(parameters: unknown): unknown[] {
    if (this.isReleased) throw new QueryRunnerAlreadyReleasedError();
    if (parameters && !Array.isArray(parameters)) throw new NamedPlaceholdersNotSupportedError();
    return normalized((parameters ?? []) as unknown[]);
  }

  #broadcastAfter(
    broadcasterResult: BroadcasterResult | undefined,
    query: string,
    values: unknown[],
    outcome: { result: QueryResult; took: number } | { error: Error },
  ): void {
    if (broadcasterResult === undefined) return;
    const [succeeded, took, raw, error] =
      'error' in outcome
        ? [false, undefined, undefined, outcome.error]
        : [true, outcome.took, outcome.result.raw, undefined];
    this.broadcaster.broadcastAfterQueryEvent(
      broadcasterResult,
      query,
      values,
      succeeded as boolean,
      took,
      raw,
      error,
    );
  }
}
