import type { Prepared } from './connection.js';
import { Method, type WordReader, type Words } from './protocol.js';
import type { Runner } from './runner.js';

/** A stream over one statement's rows, on its thread. */
export class Cursor {
  readonly #iterator: IterableIterator<unknown>;
  readonly #prepared: Prepared;
  readonly #method: Method;
  /** The rest of the rows, once something else wanted the connection, and what ended them. */
  #drained: unknown[] | undefined;
  #failure: { error: unknown } | undefined;
  #at = 0;
  #done = false;

  /** @param prepared of this cursor alone: a statement that is being iterated is locked. */
  constructor(prepared: Prepared, reader: WordReader) {
    this.#method = reader.method();
    this.#prepared = prepared;
    this.#iterator = prepared.as(this.#method).iterate(reader.params());
  }

  get done(): boolean {
    return this.#done;
  }

  /** Whether SQLite is in the middle of it. */
  get isActive(): boolean {
    return !this.#done && this.#drained === undefined;
  }

  /** Writes up to `count` more rows as one outcome. */
  fetch(runner: Runner, count: number, out: Words): void {
    const rows = this.#take(count);
    if (this.#method === Method.values) runner.encoder.values(out, rows);
    else runner.encoder.rows(out, this.#prepared, rows);
  }

  #take(count: number): unknown[] {
    if (this.#drained !== undefined) {
      const rows = this.#drained.slice(this.#at, this.#at + count);
      if (rows.length === 0 && this.#failure !== undefined) throw this.#failure.error;
      this.#at += rows.length;
      this.#done = this.#at >= this.#drained.length && this.#failure === undefined;
      return rows;
    }
    const rows: unknown[] = [];
    while (rows.length < count) {
      const next = this.#next(rows.length > 0);
      if (next === undefined) break;
      if (next.done === true) {
        this.#done = true;
        break;
      }
      rows.push(next.value);
    }
    return rows;
  }

  /** The next row; undefined where it fails and rows before it must be given first. */
  #next(isBehind: boolean): IteratorResult<unknown> | undefined {
    try {
      return this.#iterator.next();
    } catch (error) {
      if (!isBehind) throw error;
      this.#drained = [];
      this.#failure = { error };
      return undefined;
    }
  }

  /**
   * Reads the rest into memory. A connection that iterates can run nothing that writes, and what
   * a SELECT sees while its tables change is undefined (https://sqlite.org/isolation.html): so a
   * stream ends inside SQLite before the next statement of the same connection begins.
   */
  drain(): void {
    if (this.#drained !== undefined || this.#done) return;
    const rows: unknown[] = [];
    this.#drained = rows;
    try {
      for (const row of this.#iterator) rows.push(row);
    } catch (error) {
      // It is the stream's own: whoever wanted the connection has no part in it.
      this.#failure = { error };
    }
  }

  close(): void {
    this.#iterator.return?.();
  }
}

/** The open cursors of one connection. */
export class Cursors {
  readonly #open = new Map<number, Cursor>();

  add(id: number, cursor: Cursor): void {
    this.#open.set(id, cursor);
  }

  get(id: number): Cursor | undefined {
    return this.#open.get(id);
  }

  drain(): void {
    for (const cursor of this.#open.values()) cursor.drain();
  }

  /** Whether no other cursor is in the middle of its rows. */
  isAlone(id: number): boolean {
    for (const [other, cursor] of this.#open) if (other !== id && cursor.isActive) return false;
    return true;
  }

  drop(id: number): void {
    this.#open.get(id)?.close();
    this.#open.delete(id);
  }

  clear(): void {
    for (const id of [...this.#open.keys()]) this.drop(id);
  }
}
