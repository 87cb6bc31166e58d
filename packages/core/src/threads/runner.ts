import type { Classification } from '../statements/classify.js';
import { classify } from '../statements/classify.js';
import { type Connection, Prepared } from './connection.js';
import type { Block, Command, Words } from './protocol.js';
import { Method, Outcome, type WordReader } from './protocol.js';
import type { ResultEncoder } from './rows.js';

interface Text {
  sql: string;
  /** Asked for rarely, and then kept. */
  classification?: Classification;
}

/** Runs statements by their numbers, and writes their results as words. */
export class Runner {
  readonly encoder: ResultEncoder;
  /** When SQLite had given the rows of the last read, which were then written as words. */
  gaveAt = 0;
  readonly #texts = new Map<number, Text>();

  constructor(encoder: ResultEncoder) {
    this.encoder = encoder;
  }

  define(command: Command & { type: 'define' }): void {
    command.ids.forEach((id, i) => {
      this.#texts.set(id, { sql: command.texts[i] as string });
    });
  }

  forget(ids: readonly number[], connections: Iterable<Connection>): void {
    for (const id of ids) this.#texts.delete(id);
    for (const connection of connections) for (const id of ids) connection.forget(id);
  }

  sql(id: number): string {
    const text = this.#texts.get(id);
    if (text === undefined) throw new Error(`statement ${id} was not defined`);
    return text.sql;
  }

  classification(id: number): Classification {
    const sql = this.sql(id);
    const text = this.#texts.get(id) as Text;
    text.classification ??= classify(sql);
    return text.classification;
  }

  prepared(connection: Connection, id: number): Prepared {
    if (this.classification(id).explains) return this.fresh(connection, id);
    return connection.prepared(id, this.sql(id));
  }

  /** Prepares a statement ahead of its run, whose time is then its own. */
  prepare(connection: Connection, id: number): void {
    if (!this.classification(id).explains) this.prepared(connection, id);
  }

  /** A statement that is prepared for one use: a stream locks its own, and EXPLAIN and PRAGMA tell of now. */
  fresh(connection: Connection, id: number): Prepared {
    // To explain is not to look whether another connection has changed the schema; to read is.
    if (this.classification(id).explains) connection.look();
    return new Prepared(connection.prepare(this.sql(id)));
  }

  /**
   * Reads one statement's words, runs it, and writes its result. Throws what SQLite throws; the
   * words are read to their end in any case.
   *
   * @param flush takes the blocks of a large result as they are made, all but the last.
   */
  run(
    connection: Connection,
    id: number,
    reader: WordReader,
    out: Words,
    flush?: (block: Block) => void,
  ): void {
    const method = reader.method();
    const params = reader.params();
    const { gate } = connection;
    if (gate !== undefined) gate.before(this.sql(id));
    const prepared = this.prepared(connection, id);
    connection.feed?.runs(prepared, this.sql(id));
    this.runPrepared(connection, prepared, method, params, out, flush);
    if (gate !== undefined) gate.after(this.sql(id));
  }

  runPrepared(
    connection: Connection,
    prepared: Prepared,
    method: Method,
    params: unknown,
    out: Words,
    flush?: (block: Block) => void,
  ): void {
    const statement = prepared.as(method);
    switch (method) {
      case Method.run: {
        const result = statement.run(params);
        this.encoder.run(out, result.changes, result.lastInsertRowid);
        return;
      }
      case Method.get:
        this.encoder.row(out, prepared, this.#given(statement.get(params)));
        return;
      case Method.all:
        this.encoder.rows(out, prepared, this.#given(statement.all(params)), flush);
        return;
      case Method.values:
        this.encoder.values(out, this.#given(statement.all(params)), flush);
        return;
      case Method.firstValues:
        this.encoder.values(out, listOf(this.#given(statement.get(params))));
        return;
      case Method.query:
      case Method.queryValues:
        this.#query(connection, prepared, method === Method.queryValues, params, out);
        return;
    }
  }

  #given<Result>(result: Result): Result {
    this.gaveAt = performance.now();
    return result;
  }

  /** Rows where there are some, and the changes, which better-sqlite3 tells of `run` alone. */
  #query(
    connection: Connection,
    prepared: Prepared,
    asArrays: boolean,
    params: unknown,
    out: Words,
  ): void {
    const { statement } = prepared;
    if (!statement.reader) {
      const result = statement.run(params);
      out.push(Outcome.query);
      this.#pushChanges(out, result.changes, result.lastInsertRowid);
      out.push(Outcome.rows, -1, 0, 0);
      return;
    }
    // Asked before it runs: node:sqlite finds it out by an EXPLAIN, after which SQLite knows no changes.
    const { readonly } = statement;
    const rows = statement.all(params);
    out.push(Outcome.query);
    if (readonly) {
      this.#pushChanges(out, 0, 0);
    } else {
      const row = connection.changes();
      this.#pushChanges(out, Number(row[0]), row[1]);
    }
    if (asArrays) this.encoder.values(out, rows);
    else this.encoder.rows(out, prepared, rows);
  }

  #pushChanges(out: Words, changes: number, rowid: number | bigint): void {
    const at = out.length;
    this.encoder.run(out, changes, rowid);
    out.splice(at, 1);
  }
}

/** What `get` found, as a list of at most one row. */
export function listOf(row: unknown): unknown[] {
  return row === undefined ? [] : [row];
}
