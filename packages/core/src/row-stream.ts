import type { Chunk, RemoteCursor } from './threads/remote.js';

/** Where a stream's rows come from, opened when the first row is asked for. */
export interface StreamSource {
  open(): Promise<RemoteCursor>;
  /** The stream is over: whatever it held is free. */
  release(): void;
}

/**
 * The rows of one statement, a chunk at a time: while one is read, the next is fetched, and no
 * more than that, however slowly they are read.
 */
export class RowStream<Row> implements AsyncIterableIterator<Row> {
  readonly #source: StreamSource;
  readonly #signal: AbortSignal | undefined;
  readonly #aborted: (signal: AbortSignal) => Error;
  #cursor: RemoteCursor | undefined;
  #rows: unknown[] = [];
  #at = 0;
  #next: Promise<Chunk> | undefined;
  #state: 'new' | 'open' | 'over' = 'new';
  /** Calls of `next` run one after the other, also where they are not awaited. */
  #last: Promise<unknown> = Promise.resolve();

  constructor(
    source: StreamSource,
    signal: AbortSignal | undefined,
    aborted: (signal: AbortSignal) => Error,
  ) {
    this.#source = source;
    this.#signal = signal;
    this.#aborted = aborted;
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
    if (this.#at >= this.#rows.length && this.#state !== 'over') await this.#fill();
    if (this.#at < this.#rows.length && this.#signal?.aborted !== true) {
      return { done: false, value: this.#rows[this.#at++] as Row };
    }
    const signal = this.#signal;
    if (signal?.aborted === true && this.#state === 'open') {
      this.#end();
      throw this.#aborted(signal);
    }
    this.#end();
    return { done: true, value: undefined };
  }

  async #fill(): Promise<void> {
    const signal = this.#signal;
    try {
      if (signal?.aborted === true) throw this.#aborted(signal);
      if (this.#state === 'new') {
        this.#state = 'open';
        this.#cursor = await this.#source.open();
        // It may have been left while it opened.
        if ((this.#state as string) === 'over') return this.#close();
        this.#next = this.#cursor.fetch();
      }
      while (this.#next !== undefined) {
        const chunk = await this.#orAborted(this.#next);
        if ((this.#state as string) === 'over') return;
        this.#rows = chunk.rows;
        this.#at = 0;
        this.#next = chunk.done ? undefined : this.#cursor?.fetch();
        // Whoever reads the next chunk hears of its failure; until then nobody does.
        this.#next?.catch(() => {});
        if (chunk.rows.length > 0) return;
      }
    } catch (error) {
      this.#end();
      throw error;
    }
  }

  async #orAborted(chunk: Promise<Chunk>): Promise<Chunk> {
    const signal = this.#signal;
    if (signal === undefined) return chunk;
    let stop = () => {};
    const aborted = new Promise<never>((_, reject) => {
      stop = () => reject(this.#aborted(signal));
      signal.addEventListener('abort', stop, { once: true });
    });
    try {
      return await Promise.race([chunk, aborted]);
    } finally {
      signal.removeEventListener('abort', stop);
    }
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
    this.#source.release();
  }
}
