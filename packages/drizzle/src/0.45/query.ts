import { classify, type Params, type RunResult, type StatementResult } from '@poolite/core';
import { DrizzleQueryError, entityKind, type Query } from 'drizzle-orm';
import type { WithCacheConfig } from 'drizzle-orm/cache/core/types';
import {
  type PreparedQueryConfig,
  type SelectedFieldsOrdered,
  type SQLiteExecuteMethod,
  SQLitePreparedQuery,
} from 'drizzle-orm/sqlite-core';
import { boundParams } from './params.js';
import { mapResultRow } from './rows.js';
import type { Target } from './target.js';

/** What Drizzle's query builders tell of a query; raw and relational ones tell nothing. */
export interface QueryMetadata {
  type: 'select' | 'update' | 'delete' | 'insert';
  tables: string[];
}

/** How the rows of a query become what its caller asked for. */
export interface Shape {
  readonly executeMethod: SQLiteExecuteMethod;
  /** The columns of a builder's query, each with its decoder. */
  readonly fields: SelectedFieldsOrdered | undefined;
  /** Of a relational query. */
  readonly mapRows: ((rows: unknown[][]) => unknown) | undefined;
  readonly metadata: QueryMetadata | undefined;
  readonly cacheConfig: WithCacheConfig | undefined;
}

type Placeholders = Record<string, unknown>;

/** One query of Drizzle's, prepared as often as it likes: the pool prepares each text once. */
export class PooliteQuery<T extends PreparedQueryConfig> extends SQLitePreparedQuery<{
  /** Every answer is a promise. */
  type: 'async';
  /** What `run` gives. */
  run: RunResult;
  /** What `all` gives. */
  all: T['all'];
  /** What `get` gives. */
  get: T['get'];
  /** What `values` gives. */
  values: T['values'];
  /** What `execute` gives. */
  execute: T['execute'];
}> {
  /** What Drizzle's `is()` knows the class by. */
  static override readonly [entityKind]: string = 'PooliteQuery';

  /** Drizzle sets it on queries with joins; its declarations leave it out. */
  declare joinsNotNullableMap: Record<string, boolean> | undefined;
  /** The base class has it; its declarations leave it out. */
  declare queryWithCache: <R>(sql: string, params: unknown, send: () => Promise<R>) => Promise<R>;

  readonly #target: Target;
  readonly #shape: Shape;

  constructor(target: Target, query: Query, shape: Shape) {
    super('async', shape.executeMethod, query, target.cache, shape.metadata, shape.cacheConfig);
    this.#target = target;
    this.#shape = shape;
  }

  /** The tables that it writes to, as far as is known. */
  get mutates(): readonly string[] {
    const { metadata } = this.#shape;
    return metadata === undefined || metadata.type === 'select' ? [] : metadata.tables;
  }

  /** @internal Drizzle asks for it. */
  isResponseInArrayMode(): boolean {
    return this.#decodes;
  }

  /** Runs it for its effect; rejects with a DrizzleQueryError, whose `cause` is the error of SQLite or the pool, as the others do. */
  async run(placeholders?: Placeholders): Promise<RunResult> {
    const { sql } = this.query;
    const params = this.#params(placeholders);
    return this.#send(params, () => this.#target.statements.run(sql, params));
  }

  /** All rows, decoded. */
  async all(placeholders?: Placeholders): Promise<T['all']> {
    const params = this.#params(placeholders);
    if (this.#decodes) return this.#decodeAll(await this.#values(params));
    return this.#objects<T['all']>(params);
  }

  /** The first row, decoded; undefined where there is none. */
  async get(placeholders?: Placeholders): Promise<T['get']> {
    const params = this.#params(placeholders);
    if (this.#decodes) return this.#decodeFirst(await this.#firstValues(params));
    return this.#object<T['get']>(params);
  }

  /** All rows, as arrays of what SQLite gave. */
  async values(placeholders?: Placeholders): Promise<T['values']> {
    return this.#values(this.#params(placeholders));
  }

  /** What `run` gives, from an answer of the pool or of one of its batches. */
  override mapRunResult(result: unknown, isFromBatch?: boolean): unknown {
    return isFromBatch ? runResult(result as StatementResult) : result;
  }

  /** What `all` gives, from the rows of the pool or of one of its batches. */
  override mapAllResult(result: unknown, isFromBatch?: boolean): unknown {
    const rows = isFromBatch ? (result as StatementResult).rows : result;
    return this.#decodes ? this.#decodeAll(rows as unknown[][]) : rows;
  }

  /** What `get` gives, from the rows of the pool or of one of its batches. */
  override mapGetResult(result: unknown, isFromBatch?: boolean): unknown {
    const rows = (isFromBatch ? (result as StatementResult).rows : result) as unknown[];
    return this.#decodes ? this.#decodeFirst(rows as unknown[][]) : rows[0];
  }

  /** Whether its rows are arrays that are decoded column by column. */
  get #decodes(): boolean {
    return this.#shape.fields !== undefined || this.#shape.mapRows !== undefined;
  }

  #params(placeholders: Placeholders | undefined): Params {
    const { sql, params } = this.query;
    const bound = boundParams(params, placeholders);
    this.#target.logger?.logQuery(sql, bound as unknown[]);
    return bound;
  }

  #decodeAll(rows: unknown[][]): unknown {
    const { fields, mapRows } = this.#shape;
    if (mapRows !== undefined) return mapRows(rows);
    const joins = this.joinsNotNullableMap;
    return rows.map((row) => mapResultRow(fields as SelectedFieldsOrdered, row, joins));
  }

  #decodeFirst(rows: unknown[][]): unknown {
    const [row] = rows;
    if (row === undefined) return undefined;
    const { fields, mapRows } = this.#shape;
    if (mapRows !== undefined) return mapRows(rows);
    return mapResultRow(fields as SelectedFieldsOrdered, row, this.joinsNotNullableMap);
  }

  #objects<Rows>(params: Params): Promise<Rows> {
    const { sql } = this.query;
    const { statements } = this.#target;
    return this.#send(params, async () => {
      if (this.#reads) return (await statements.all(sql, params)) as Rows;
      return (await statements.query(sql, params)).rows as Rows;
    });
  }

  #object<Row>(params: Params): Promise<Row> {
    const { sql } = this.query;
    const { statements } = this.#target;
    return this.#send(params, async () => {
      if (this.#reads) return (await statements.get(sql, params)) as Row;
      return (await statements.query(sql, params)).rows[0] as Row;
    });
  }

  #values(params: Params): Promise<unknown[][]> {
    const { sql } = this.query;
    const { statements } = this.#target;
    if (this.#decodes || this.#reads || RETURNING.test(sql)) {
      return this.#send(params, () => statements.values(sql, params));
    }
    return this.#send(params, async () =>
      (await statements.query(sql, params)).rows.map(Object.values),
    );
  }

  /** The first row alone, where nobody may find it in the cache in place of all. */
  async #firstValues(params: Params): Promise<unknown[][]> {
    const { metadata, mapRows } = this.#shape;
    const isCached = this.#target.cache !== undefined && metadata !== undefined;
    // A relational query limits itself, and its rows are mapped together.
    if (isCached || mapRows !== undefined || !this.#reads) return this.#values(params);
    const { sql } = this.query;
    const row = await this.#send(params, () =>
      this.#target.statements.get<unknown[]>(sql, params, AS_ARRAY),
    );
    return row === undefined ? [] : [row];
  }

  /**
   * Whether it surely gives rows. Of others nobody knows before they have run: the pool's `query`
   * takes both kinds.
   */
  get #reads(): boolean {
    const { metadata } = this.#shape;
    if (metadata !== undefined) return metadata.type === 'select';
    return classify(this.query.sql).kind === 'read';
  }

  /** Runs it through the cache, where there is one, and wraps what goes wrong as Drizzle does. */
  #send<R>(params: Params, send: () => Promise<R>): Promise<R> {
    const { cache, mutated } = this.#target;
    const { metadata } = this.#shape;
    if (cache === undefined || metadata === undefined) return this.#wrapped(params, send);
    if (metadata.type !== 'select') return this.#mutating(params, send);
    // What a transaction has read belongs to it alone, and so does what it must not miss.
    if (mutated !== undefined) return this.#wrapped(params, send);
    return this.queryWithCache(this.query.sql, params, send);
  }

  async #wrapped<R>(params: Params, send: () => Promise<R>): Promise<R> {
    try {
      return await send();
    } catch (cause) {
      throw queryError(this.query.sql, params, cause);
    }
  }

  /**
   * A write makes the cache forget when it is stored: whoever reads between an earlier forgetting
   * and the commit would put the old rows back.
   */
  async #mutating<R>(params: Params, send: () => Promise<R>): Promise<R> {
    const result = await this.#wrapped(params, send);
    const { cache, mutated } = this.#target;
    const tables = [...this.mutates];
    if (mutated !== undefined) for (const table of tables) mutated.add(table);
    else if (tables.length > 0) await cache?.onMutate({ tables });
    return result;
  }
}

const AS_ARRAY = { rows: 'array' } as const;
const RETURNING = /\breturning\b/i;

export function queryError(sql: string, params: Params, cause: unknown): DrizzleQueryError {
  return new DrizzleQueryError(sql, params as unknown[], cause as Error);
}

/** A statement's counts, without its rows. */
export function runResult({ changes, lastInsertRowid }: StatementResult): RunResult {
  return { changes, lastInsertRowid };
}
