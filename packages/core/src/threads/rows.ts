import type { Prepared } from './connection.js';
import type { Block, Failure, Words } from './protocol.js';
import { Outcome } from './protocol.js';

/** Results of at most so many values travel as plain words: a block has a price of its own. */
const FEW_VALUES = 96;
/** Rows of one block, so that the calling thread takes a large result in short steps. */
export const BLOCK_ROWS = 4096;
/** Blobs of at least so many bytes are moved to the other thread, not copied. */
const MOVED_BYTES = 32 * 1024;

/** Lists of column names that are remembered: an application that makes up names makes up many. */
const MOST_SHAPES = 1000;

type Row = Record<string, unknown>;

/** An integer as the option `integers: 'auto'` gives it: a number where that is exact. */
export function narrowed(value: unknown): unknown {
  if (typeof value !== 'bigint') return value;
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : value;
}

/** Writes the results of one thread's statements into words. */
export class ResultEncoder {
  /** Shapes that the other side has not been told of yet. */
  readonly newShapes: { id: number; keys: string[]; since: number }[] = [];
  /** Buffers to be moved with the next post. */
  moved: ArrayBuffer[] = [];
  readonly #shapes = new Map<string, number>();
  #nextShape = 0;
  /** Shapes with smaller numbers are not used any more. */
  #since = 0;
  readonly #narrow: boolean;
  /** Whether the column just read holds blobs. */
  #blobSeen = false;

  constructor(narrow: boolean) {
    this.#narrow = narrow;
  }

  run(words: Words, changes: number, rowid: number | bigint): void {
    words.push(Outcome.run, changes, this.#narrow ? narrowed(rowid) : rowid);
  }

  row(words: Words, prepared: Prepared, row: unknown): void {
    if (row === undefined) {
      words.push(Outcome.none);
      return;
    }
    const keys = this.#keysOf(prepared, row as Row);
    const start = words.push(Outcome.row, prepared.shape, 0);
    let blobs = 0;
    for (let i = 0; i < keys.length; i++) {
      blobs |= this.#pushValue(words, (row as Row)[keys[i] as string]);
    }
    words[start - 1] = blobs;
  }

  /** Objects: one outcome in `words`. With `flush`, blocks before the last are handed to it. */
  rows(
    words: Words,
    prepared: Prepared,
    rows: readonly unknown[],
    flush?: (block: Block) => void,
  ): void {
    if (rows.length === 0) {
      words.push(Outcome.rows, -1, 0, 0);
      return;
    }
    const keys = this.#keysOf(prepared, rows[0] as Row);
    if (rows.length * keys.length <= FEW_VALUES) {
      const start = words.push(Outcome.rows, prepared.shape, rows.length, 0);
      let blobs = 0;
      for (const row of rows as Row[]) {
        for (let i = 0; i < keys.length; i++) {
          blobs |= this.#pushValue(words, row[keys[i] as string]);
        }
      }
      words[start - 1] = blobs;
      return;
    }
    this.#blocks(words, prepared.shape, keys, rows, flush);
  }

  /** Arrays: one outcome in `words`. With `flush`, blocks before the last are handed to it. */
  values(words: Words, rows: readonly unknown[], flush?: (block: Block) => void): void {
    const width = rows.length === 0 ? 0 : (rows[0] as unknown[]).length;
    if (rows.length * width <= FEW_VALUES) {
      const start = words.push(Outcome.values, width, rows.length, 0);
      let blobs = 0;
      for (const row of rows as unknown[][]) {
        for (let i = 0; i < width; i++) blobs |= this.#pushValue(words, row[i]);
      }
      words[start - 1] = blobs;
      return;
    }
    const keys: number[] = [];
    for (let i = 0; i < width; i++) keys.push(i);
    this.#blocks(words, -1, keys, rows, flush);
  }

  #blocks(
    words: Words,
    shape: number,
    keys: readonly (string | number)[],
    rows: readonly unknown[],
    flush: ((block: Block) => void) | undefined,
  ): void {
    const step = flush === undefined ? rows.length : BLOCK_ROWS;
    for (let from = 0; from < rows.length; from += step) {
      const to = Math.min(from + step, rows.length);
      const block: Block = { shape, rows: to - from, columns: [], blobs: [], more: false };
      for (let i = 0; i < keys.length; i++) {
        block.columns.push(this.#column(rows, keys[i] as string, from, to));
        if (this.#blobSeen) block.blobs.push(i);
      }
      if (to < rows.length) {
        block.more = true;
        flush?.(block);
      } else {
        words.push(Outcome.block, block);
      }
    }
  }

  /**
   * One column of some rows: an Int32Array or a Float64Array where every value fits, since those
   * cross as one piece of memory; else a dense array, which V8 clones fast only where it has no
   * holes, hence `push`.
   */
  #column(rows: readonly unknown[], key: string, from: number, to: number): ArrayLike<unknown> {
    this.#blobSeen = false;
    const column: unknown[] = [];
    let numbers = true;
    let integers = true;
    for (let i = from; i < to; i++) {
      let value = (rows[i] as Row)[key];
      if (typeof value === 'number') {
        // -0 is a number that an Int32Array would lose.
        if (integers && ((value | 0) !== value || Object.is(value, -0))) integers = false;
      } else {
        if (typeof value === 'object' && value !== null) this.#blob(value);
        else if (this.#narrow) value = narrowed(value);
        if (typeof value !== 'number') numbers = false;
        else if ((value | 0) !== value) integers = false;
      }
      column.push(value);
    }
    if (!numbers) return column;
    return integers ? Int32Array.from(column as number[]) : Float64Array.from(column as number[]);
  }

  #pushValue(words: Words, value: unknown): number {
    if (typeof value === 'object' && value !== null) {
      words.push(value);
      return this.#blob(value);
    }
    words.push(this.#narrow ? narrowed(value) : value);
    return 0;
  }

  /** Every object that SQLite gives is a blob. */
  #blob(value: object): 1 {
    const { buffer, byteLength } = value as Uint8Array;
    this.#blobSeen = true;
    if (byteLength >= MOVED_BYTES && byteLength === buffer.byteLength) {
      this.moved.push(buffer as ArrayBuffer);
    }
    return 1;
  }

  /**
   * The names come from a row itself, not from the statement: SQLite prepares a statement again
   * when the schema changes, and only its rows tell.
   */
  #keysOf(prepared: Prepared, row: Row): string[] {
    const keys = Object.keys(row);
    const known = prepared.keys;
    if (known !== undefined && known.length === keys.length && prepared.shape >= this.#since) {
      let same = true;
      for (let i = 0; i < keys.length; i++) {
        if (known[i] !== keys[i]) {
          same = false;
          break;
        }
      }
      if (same) return known;
    }
    prepared.keys = keys;
    prepared.shape = this.shapeOf(keys);
    return keys;
  }

  /** The number of a list of column names. */
  shapeOf(keys: string[]): number {
    const text = JSON.stringify(keys);
    let id = this.#shapes.get(text);
    if (id === undefined) {
      if (this.#shapes.size >= MOST_SHAPES) {
        this.#shapes.clear();
        this.#since = this.#nextShape;
      }
      id = this.#nextShape++;
      this.#shapes.set(text, id);
      this.newShapes.push({ id, keys, since: this.#since });
    }
    return id;
  }

  /** The column names with a number that is in use. */
  keysOfShape(shape: number): string[] {
    for (const [text, id] of this.#shapes) if (id === shape) return JSON.parse(text) as string[];
    throw new Error(`shape ${shape} is not known`);
  }
}

export function failureOf(error: unknown, index?: number): Failure {
  const failure: Failure =
    error instanceof Error
      ? { name: error.name, message: error.message }
      : { name: 'Error', message: String(error) };
  const code = (error as { code?: unknown } | null)?.code;
  if (typeof code === 'string') failure.code = code;
  if (index !== undefined) failure.index = index;
  return failure;
}
