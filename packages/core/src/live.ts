import type { Database } from './database.js';
import { PoolError, shorten } from './errors.js';
import type { OneShot } from './one-shot.js';
import { checkMilliseconds } from './option-checks.js';
import type { Statement } from './statements/catalogue.js';
import type { BoundParams, Params } from './statements/params.js';
import type { LiveOptions } from './surface.js';
import type { ChangedTable } from './threads/changed.js';
import { Method } from './threads/protocol.js';
import { type Listening, readChange, tableName } from './writing/changes.js';

/** Keeps the process alive for as long as somebody waits. */
const FOR_EVER = 2 ** 30;

/**
 * The rows of a query, now and again after each commit that changed a table it reads. What is
 * committed while they are read, or while their reader does something else, comes to one more look.
 */
export class LiveQuery<Row> implements AsyncIterableIterator<Row[], undefined> {
  readonly #database: Database;
  readonly #oneShot: OneShot;
  readonly #statement: Statement;
  readonly #params: BoundParams;
  readonly #options: LiveOptions;
  /** Told when it is over. */
  readonly #ended: (query: LiveQuery<Row>) => void;
  #state: 'new' | 'on' | 'over' = 'new';
  #listening: Listening | undefined;
  /** The tables that it reads; undefined where that is not known, or may have changed. */
  #tables: ReadonlySet<string> | undefined;
  /** Whether something was committed since the rows were read last. */
  #isStale = true;
  #wake: (() => void) | undefined;
  /** Why it is over, until somebody has heard of it. */
  #error: Error | undefined;
  /** Calls of `next` run one after the other, also where they are not awaited. */
  #last: Promise<unknown> = Promise.resolve();
  readonly #onAbort = () => {
    const { signal } = this.#options;
    this.#error = this.#database.limits.aborted(signal as AbortSignal, this.#statement.sql);
    this.end();
  };

  constructor(
    database: Database,
    oneShot: OneShot,
    sql: string,
    params: Params | undefined,
    options: LiveOptions,
    ended: (query: LiveQuery<Row>) => void,
  ) {
    const { statement, bound } = database.bound(sql, params);
    if (!statement.isRead) {
      const why = 'live is for a statement that reads';
      throw new PoolError('POOL_MISUSE', `${why}: ${shorten(statement.sql)}`);
    }
    checkMilliseconds('timeout', options.timeout);
    this.#database = database;
    this.#oneShot = oneShot;
    this.#statement = statement;
    this.#params = bound;
    this.#options = options;
    this.#ended = ended;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  next(): Promise<IteratorResult<Row[], undefined>> {
    const step = this.#last.then(() => this.#step());
    this.#last = step.catch(() => {});
    return step;
  }

  return(): Promise<IteratorResult<Row[], undefined>> {
    this.end();
    return Promise.resolve({ done: true, value: undefined });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.end();
  }

  /** Whoever waits hears that there is no more. */
  end(): void {
    if (this.#state === 'over') return;
    this.#state = 'over';
    this.#listening?.stop();
    this.#options.signal?.removeEventListener('abort', this.#onAbort);
    this.#wake?.();
    this.#ended(this);
  }

  async #step(): Promise<IteratorResult<Row[], undefined>> {
    try {
      if (this.#state === 'new') await this.#begin();
      if (this.#state === 'on' && !this.#isStale) await this.#change();
      const rows = this.#state === 'on' ? await this.#read() : undefined;
      if (this.#error !== undefined) throw this.#error;
      return rows === undefined || this.#isOver
        ? { done: true, value: undefined }
        : { done: false, value: rows };
    } catch (error) {
      // The first who hears of it hears of it alone; after that it is over.
      this.#error = undefined;
      this.end();
      throw error;
    }
  }

  get #isOver(): boolean {
    return this.#state === 'over';
  }

  async #begin(): Promise<void> {
    const { signal } = this.#options;
    if (signal?.aborted === true) return this.#onAbort();
    signal?.addEventListener('abort', this.#onAbort, { once: true });
    this.#state = 'on';
    this.#listening = this.#database.changes.listen({
      rowids: 0,
      changed: (text) => this.#changed(text),
    });
    await this.#until(this.#listening.ready);
  }

  #changed(text: string): void {
    const change = readChange(text, { rowids: false, bigint: false });
    if (change === undefined) return;
    const { tables } = change;
    // The schema may have changed: then it may read other tables.
    if (tables.length === 0) this.#tables = undefined;
    const reads = this.#tables;
    if (reads !== undefined && !tables.some((table) => reads.has(table))) return;
    this.#isStale = true;
    this.#wake?.();
  }

  /** Waits for a commit that concerns it, or for its end. */
  #change(): Promise<void> {
    return this.#until(new Promise(() => {}));
  }

  /** Waits for something, for a commit that concerns it, or for its end. */
  async #until(something: Promise<void>): Promise<void> {
    const alive = setInterval(() => {}, FOR_EVER);
    try {
      await new Promise<void>((resolve, reject) => {
        this.#wake = resolve;
        something.then(resolve, reject);
      });
    } finally {
      this.#wake = undefined;
      clearInterval(alive);
    }
  }

  async #read(): Promise<Row[]> {
    // Whatever is committed from here on is perhaps not in the rows.
    this.#isStale = false;
    this.#tables ??= await this.#analysed();
    const { signal, timeout } = this.#options;
    const { sql } = this.#statement;
    const rows = await this.#oneShot.rows(Method.all, sql, this.#params, { signal, timeout });
    return rows as Row[];
  }

  /** The tables that the query reads, through views too; undefined without the extension. */
  async #analysed(): Promise<ReadonlySet<string> | undefined> {
    if (!this.#database.writer.thread.stops.canInterrupt) return undefined;
    const { signal, timeout } = this.#options;
    // What reads nothing would not notice that the schema has changed, and analyse by the old one.
    const sql = 'SELECT poolite_tables(?) AS tables FROM (SELECT count(*) FROM sqlite_schema)';
    const limits = { signal, timeout };
    const row = await this.#oneShot.rows(Method.get, sql, [this.#statement.sql], limits);
    const [, tables] = JSON.parse((row as { tables: string }).tables) as [number, ChangedTable[]];
    return new Set(tables.map(([schema, name]) => tableName(schema, name)));
  }
}
