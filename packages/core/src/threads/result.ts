import type { Block, Failure, Words } from './protocol.js';
import { Outcome } from './protocol.js';
import { walkResult } from './word-walk.js';

/** Makes row objects of one list of column names. */
interface RowMaker {
  fromWords(words: Words, at: number): object;
  fromColumns(columns: readonly ArrayLike<unknown>[], row: number): object;
}

/** The column names of a result, as one thread sent them. */
export interface Shape {
  readonly keys: readonly string[];
  readonly maker: RowMaker;
  readonly width: number;
}

const makers = new Map<string, RowMaker>();
const MOST_MAKERS = 2000;

/**
 * Row objects come from an object literal compiled for their names: all rows of one result then
 * share a hidden class, as better-sqlite3's own do, which makes its rows in the same way.
 */
function rowMaker(keys: readonly string[]): RowMaker {
  const text = JSON.stringify(keys);
  let maker = makers.get(text);
  if (maker === undefined) {
    const literal = (value: (i: number) => string) =>
      `({${keys.map((key, i) => `[${JSON.stringify(key)}]:${value(i)}`).join(',')}})`;
    const plain = (value: (i: number) => string) =>
      `({${keys.map((key, i) => `${JSON.stringify(key)}:${value(i)}`).join(',')}})`;
    // Written plainly, the key `__proto__` would set the prototype.
    const write = keys.includes('__proto__') ? literal : plain;
    maker = {
      fromWords: Function('w', 'at', `return ${write((i) => `w[at+${i}]`)}`) as never,
      fromColumns: Function('c', 'i', `return ${write((i) => `c[${i}][i]`)}`) as never,
    };
    if (makers.size >= MOST_MAKERS) makers.clear();
    makers.set(text, maker);
  }
  return maker;
}

/** Structured clone gives a blob back as a Uint8Array; better-sqlite3's users know Buffers. */
function restored(value: unknown): unknown {
  return value instanceof Uint8Array
    ? Buffer.from(value.buffer, value.byteOffset, value.byteLength)
    : value;
}

/** What went wrong on a thread, on its way to a caller: never a value of a result. */
export class Failed {
  readonly failure: Failure;

  constructor(failure: Failure) {
    this.failure = failure;
  }
}

/** A statement's own result, whatever it was: rows where it returns some, and the changes. */
export interface StatementResult<Row = Record<string, unknown>> {
  /** The rows that it returned; empty where it returns none. */
  rows: Row[];
  /** Rows inserted, updated or deleted by it. */
  changes: number;
  /** The rowid of the writer's last insert; a bigint by the option `integers`. */
  lastInsertRowid: number | bigint;
}

/** Reads the results that one thread writes. */
export class ResultDecoder {
  words: Words = [];
  at = 0;
  readonly #shapes = new Map<number, Shape>();
  #since = 0;

  defineShape(id: number, keys: string[], since: number): void {
    this.#shapes.set(id, { keys, maker: rowMaker(keys), width: keys.length });
    if (since === this.#since) return;
    // A post's shapes come ahead of its results, some of which may use those of the generation
    // before: that one is dropped when the next begins.
    for (const old of this.#shapes.keys()) if (old < this.#since) this.#shapes.delete(old);
    this.#since = since;
  }

  #shape(id: number): Shape {
    const shape = this.#shapes.get(id);
    if (shape === undefined) throw new Error(`shape ${id} was not defined`);
    return shape;
  }

  read(words: Words): void {
    this.words = words;
    this.at = 0;
  }

  get done(): boolean {
    return this.at >= this.words.length;
  }

  number(): number {
    return this.words[this.at++] as number;
  }

  /** The next result: rows, a row, undefined, `{ changes, … }`, a Block or a Failed. */
  next(): unknown {
    const words = this.words;
    switch (words[this.at++] as Outcome) {
      case Outcome.run: {
        const changes = words[this.at++] as number;
        return { changes, lastInsertRowid: words[this.at++] as number | bigint };
      }
      case Outcome.none:
        return undefined;
      case Outcome.row: {
        const shape = this.number();
        return this.#rows(shape, 1, this.number())[0];
      }
      case Outcome.rows: {
        const shape = this.number();
        const rows = this.number();
        return this.#rows(shape, rows, this.number());
      }
      case Outcome.values: {
        const columns = this.number();
        const rows = this.number();
        return this.#values(columns, rows, this.number());
      }
      case Outcome.block:
        return this.rowsOfBlock(words[this.at++] as Block);
      case Outcome.error:
        return new Failed(words[this.at++] as Failure);
      case Outcome.query: {
        const changes = this.number();
        const lastInsertRowid = words[this.at++] as number | bigint;
        const rows = this.next() as Record<string, unknown>[];
        return { rows, changes, lastInsertRowid } satisfies StatementResult;
      }
      case Outcome.batch: {
        const count = this.number();
        const results: unknown[] = [];
        for (let i = 0; i < count; i++) results.push(this.next());
        return results;
      }
    }
  }

  /**
   * The words of the next result as they are, for whoever hands them on; `rename` says what number
   * a list of column names has there.
   */
  raw(rename: (shape: Shape) => number): Words {
    const from = this.at;
    this.at = walkResult(this.words, from, (number) => {
      const shape = this.#shape(number);
      return { width: shape.width, to: rename(shape) };
    });
    return this.words.slice(from, this.at);
  }

  /** The block that comes next where more of the same result follow, else undefined. */
  partialBlock(): Block | undefined {
    if (this.words[this.at] !== Outcome.block) return undefined;
    const block = this.words[this.at + 1] as Block;
    if (!block.more) return undefined;
    this.at += 2;
    return block;
  }

  rowsOfBlock(block: Block): unknown[] {
    const { columns, shape } = block;
    for (const i of block.blobs) {
      columns[i] = Array.prototype.map.call(columns[i], restored) as unknown[];
    }
    const rows: unknown[] = [];
    if (shape >= 0) {
      const { fromColumns } = this.#shape(shape).maker;
      for (let i = 0; i < block.rows; i++) rows.push(fromColumns(columns, i));
      return rows;
    }
    for (let i = 0; i < block.rows; i++) {
      const row: unknown[] = [];
      for (let j = 0; j < columns.length; j++) row.push((columns[j] as ArrayLike<unknown>)[i]);
      rows.push(row);
    }
    return rows;
  }

  #rows(shape: number, count: number, blobs: number): unknown[] {
    const rows: unknown[] = [];
    if (count === 0) return rows;
    const { maker, width } = this.#shape(shape);
    const { fromWords } = maker;
    if (blobs !== 0) this.#restore(width * count);
    for (let i = 0; i < count; i++) {
      rows.push(fromWords(this.words, this.at));
      this.at += width;
    }
    return rows;
  }

  #values(width: number, count: number, blobs: number): unknown[] {
    const rows: unknown[] = [];
    if (blobs !== 0) this.#restore(width * count);
    for (let i = 0; i < count; i++) {
      rows.push(this.words.slice(this.at, this.at + width));
      this.at += width;
    }
    return rows;
  }

  #restore(count: number): void {
    for (let i = this.at; i < this.at + count; i++) this.words[i] = restored(this.words[i]);
  }
}
