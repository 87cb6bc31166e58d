import { decode, Encoder } from './codec.js';
import type { Connection } from './connection.js';
import type { SqliteStatement } from './engine.js';
import { Outcome, type Words } from './protocol.js';
import type { ResultEncoder } from './rows.js';
import { walkResult } from './word-walk.js';

/** Results that are larger, in bytes, are not kept: that the write is stored is. */
const MOST_KEPT = 64 * 1024;
/** How long, in ms, what a process did is remembered that never said that it was answered. */
const REMEMBERED = 24 * 60 * 60 * 1000;

/** A write that must be done once, however often it is sent. */
export interface Once {
  /** Whose it is, and which of its writes. */
  readonly client: string;
  readonly number: number;
  /** Up to which it has had answers: those are not asked for again. */
  readonly answered: number;
}

/** What was stored of a result, with the column names that are numbers in its words. */
interface Kept {
  words: Words;
  names: string[][];
}

type Statements = Record<'find' | 'add' | 'prune', SqliteStatement>;

const TABLE = `CREATE TABLE IF NOT EXISTS poolite_ledger (
  client TEXT NOT NULL,
  number INTEGER NOT NULL,
  at INTEGER NOT NULL,
  outcome BLOB NOT NULL,
  PRIMARY KEY (client, number)
) WITHOUT ROWID`;

/**
 * Remembers, in the file itself and in the very transaction that stores them, which writes were
 * done and what their results were. Whoever does not know whether a write was done sends it again,
 * and gets the result that it had.
 */
export class Ledger {
  readonly #connection: Connection;
  readonly #results: ResultEncoder;
  readonly #encoder = new Encoder();
  #statements: Statements | undefined;
  /** Up to which the answers of each process are forgotten. */
  readonly #pruned = new Map<string, number>();

  constructor(connection: Connection, results: ResultEncoder) {
    this.#connection = connection;
    this.#results = results;
  }

  /** The transaction was undone, and maybe the making of the table with it. */
  undone(): void {
    this.#statements = undefined;
    this.#pruned.clear();
  }

  /** The result that a write had when it was done; undefined where it was not. */
  find({ client, number, answered }: Once): Words | undefined {
    this.#statements ??= this.#prepare();
    const { find, prune } = this.#statements;
    if (answered > (this.#pruned.get(client) ?? 0)) {
      prune.run([client, answered]);
      this.#pruned.set(client, answered);
    }
    const row = find.get([client, number]) as { outcome: Uint8Array } | undefined;
    if (row === undefined) return undefined;
    const { words, names } = decode(Buffer.from(row.outcome)) as Kept;
    const lookUp = (shape: number) => {
      const keys = names[shape] as string[];
      return { width: keys.length, to: this.#results.shapeOf(keys) };
    };
    walkResult(words, 0, lookUp);
    return words;
  }

  /** Remembers the result of a write, in the transaction that does it. */
  add({ client, number }: Once, result: Words): void {
    const { add } = this.#statements as Statements;
    add.run([client, number, Date.now(), this.#kept(result)]);
  }

  #kept(result: Words): Uint8Array {
    const names: string[][] = [];
    // Its blocks are the caller's: what is renamed must be copies.
    const words = result.map((word) =>
      typeof word === 'object' && word !== null && 'shape' in word ? { ...word } : word,
    );
    walkResult(words, 0, (shape) => {
      const keys = this.#results.keysOfShape(shape);
      return { width: keys.length, to: names.push([...keys]) - 1 };
    });
    this.#encoder.write({ words, names } satisfies Kept);
    const bytes = this.#encoder.take();
    if (bytes.length <= MOST_KEPT) return bytes;
    const message = 'the write is stored, but its result was too large to be remembered';
    const failure = { name: 'PoolError', code: 'POOL_OUTCOME_UNKNOWN', message };
    this.#encoder.write({ words: [Outcome.error, failure], names: [] } satisfies Kept);
    return this.#encoder.take();
  }

  #prepare(): Statements {
    const { db } = this.#connection;
    db.exec(TABLE);
    db.prepare('DELETE FROM poolite_ledger WHERE at < ?').run([Date.now() - REMEMBERED]);
    return {
      find: db.prepare('SELECT outcome FROM poolite_ledger WHERE client = ? AND number = ?'),
      add: db.prepare('INSERT INTO poolite_ledger VALUES (?, ?, ?, ?)'),
      prune: db.prepare('DELETE FROM poolite_ledger WHERE client = ? AND number <= ?'),
    };
  }
}
