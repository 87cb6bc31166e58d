import type { Database } from './database.js';
import type { CallOptions } from './surface.js';
import type { Chunk, RemoteCursor } from './threads/remote.js';

/** Where a stream's rows come from, opened when the first row is asked for. */
export interface StreamSource {
  open(): Promise<RemoteCursor>;
  /** Whether it keeps the caller's limits itself: what writes knows what giving up means. */
  readonly limits?: boolean;
  /** The stream is over: whatever it held is free. */
  release(): void;
}

/**
 * The rows of one statement, a chunk at a time: while one is read, the next is fetched, and no
 * more than that, however slowly they are read.
 */
export class RowStream<Row> implements AsyncIterableIterator<Row> {
  readonly #source: StreamSource;
  readonly #database: Database;
  readonly #sql: string;
  readonly #options: CallOptions;
  #cursor: RemoteCursor | undefined;
  #rows: unknown[] = [];
  #at = 0;
  #next: Promise<Chunk> | undefined;
  #state: 'new' | 'open' | 'over' = 'new';
  /** Calls of `next` run one after the other, also where they are not awaited. */
  #last: Promise<unknown> = Promise.resolve();

  constructor(source: StreamSource, database: Database, sql: string, options: CallOptions) {
    this.#source = source;
    this.#database = database;
    this.#sql = sql;
    this.#options = options;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  next(): Promise<IteratorResult<Row, undefined>> {
    const step = this.#last.then(() => this.#step());
    this.#last = step.catch(() => {});
    return step;
  }

  return(): Promise<IteratorResult<Row, undefined>> {
    this.#end();
    return Promise.resolve({ done: true, value: undefined });
  }

  throw(error?: unknown): Promise<IteratorResult<Row, undefined>> {
    this.#end();
    return Promise.reject(error);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#end();
  }

  async #step(): Promise<IteratorResult<Row, undefined>> {
    const { signal } = this.#options;
    if (signal?.aborted === true && this.#state !== 'over') {
      this.#end();
      throw this.#database.limits.aborted(signal, this.#sql);
    }
    if (this.#at >= this.#rows.length && this.#state !== 'over') await this.#fill();
    if (this.#at < this.#rows.length) {
      return { done: false, value: this.#rows[this.#at++] as Row };
    }
    this.#end();
    return { done: true, value: undefined };
  }

  async #fill(): Promise<void> {
    try {
      if (this.#state === 'new') {
        this.#state = 'open';
        await this.#limited(() => this.#open());
      }
      while (this.#next !== undefined && !this.#isOver) {
        const chunk = await this.#limited(() => this.#next as Promise<Chunk>);
        if (this.#isOver) return;
        this.#rows = chunk.rows;
        this.#at = 0;
        this.#next = chunk.done ? undefined : this.#cursor?.fetch();
        // Whoever reads the next chunk hears of its failure; until then nobody does.
        this.#next?.catch(() => {});
        // All rows are here: who reads them slowly, or not to their end, holds nothing any more.
        if (chunk.done) this.#close();
        if (chunk.rows.length > 0) return;
      }
    } catch (error) {
      this.#end();
      throw error;
    }
  }

  get #isOver(): boolean {
    return this.#state === 'over';
  }

  async #open(): Promise<void> {
    this.#cursor = await this.#source.open();
    // It may have been left while it opened.
    if (this.#isOver) return this.#close();
    this.#next = this.#cursor.fetch();
    this.#next.catch(() => {});
  }

  #limited<T>(start: () => Promise<T>): Promise<T> {
    if (this.#source.limits === true) return start();
    // Whoever leaves the stream closes its cursor, which stops the fetch that is under way.
    return this.#database.limits.keep(this.#options, this.#sql, start, () => 'nothing');
  }

  #end(): void {
    if (this.#state === 'over') return;
    const wasNew = this.#state === 'new';
    this.#state = 'over';
    this.#rows = [];
    this.#at = 0;
    this.#next = undefined;
    if (!wasNew && this.#cursor !== undefined) this.#close();
  }

  #close(): void {
    this.#cursor?.close();
    this.#cursor = undefined;
    this.#source.release();
  }
}
