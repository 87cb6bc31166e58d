import type { Statement } from '../statements/catalogue.js';
import type { BoundParams } from '../statements/params.js';
import { Connection, type ConnectionOptions, Prepared, type Setup } from '../threads/connection.js';
import type { SqliteStatement } from '../threads/engine.js';
import { Method } from '../threads/protocol.js';
import { narrowed } from '../threads/rows.js';
import { listOf } from '../threads/runner.js';

/** How long, in ms, reads may keep the calling thread in one turn of its event loop. */
const BUDGET = 4;
const NO_PARAMS: readonly never[] = [];

/** Says that the calling thread should not, or cannot, run a read: the threads shall. */
export const NOT_HERE = Symbol('not here');

/** The calling thread's own read-only connection: for reads that have proved to be quick. */
export class InlineReader {
  runs = 0;
  /** Whether all new reads are held: see Hold. */
  held = false;
  readonly #connection: Connection;
  readonly #narrow: boolean;
  #spent = 0;
  #turnMarked = false;
  /** Reads that wait for the next turn of the event loop. */
  #later: (() => void)[] = [];
  readonly #newTurn = () => {
    this.#spent = 0;
    this.#turnMarked = false;
    const later = this.#later;
    if (later.length === 0) return;
    this.#later = [];
    for (const read of later) read();
  };

  constructor(options: ConnectionOptions, setup: Setup | undefined) {
    // No wait for locks here: a read that meets one goes to the threads.
    this.#connection = new Connection(options, 'read', 0);
    this.#narrow = options.integers === 'auto';
    try {
      this.#connection.configure(setup);
      this.#connection.hook();
    } catch (error) {
      this.#connection.close();
      throw error;
    }
  }

  /**
   * Whether this turn of the event loop has had its share. Awaiting values that are there already
   * never lets the loop turn: timers and sockets would starve under a loop of quick reads.
   */
  get isSpent(): boolean {
    return this.#spent > BUDGET;
  }

  /** Calls `read` in the next turn of the event loop. */
  defer(read: () => void): void {
    this.#later.push(read);
    this.#markTurn();
  }

  /** Runs a read at once; throws what SQLite throws, and gives NOT_HERE where it should not run. */
  run(statement: Statement, method: Method, params: BoundParams): unknown {
    const started = performance.now();
    let prepared = statement.inline as Prepared | undefined;
    let result: unknown;
    try {
      if (prepared === undefined) {
        prepared = new Prepared(this.#connection.prepare(statement.sql));
        statement.inline = prepared;
      }
      result = resultOf(prepared.as(method), method, params ?? NO_PARAMS);
    } catch (error) {
      const { code } = error as { code?: string };
      if (code?.startsWith('SQLITE_BUSY') || code?.startsWith('SQLITE_READONLY')) return NOT_HERE;
      throw error;
    }
    const took = performance.now() - started;
    this.runs++;
    this.#spent += took;
    if (!this.#turnMarked) this.#markTurn();
    statement.ran(took * 1000, method === Method.get ? 1 : (result as unknown[]).length);
    return this.#narrow ? narrowAll(result) : result;
  }

  close(): void {
    this.#newTurn();
    this.#connection.close();
  }

  #markTurn(): void {
    if (this.#turnMarked) return;
    this.#turnMarked = true;
    setImmediate(this.#newTurn);
  }
}

function resultOf(handle: SqliteStatement, method: Method, params: BoundParams & object): unknown {
  if (method === Method.get) return handle.get(params);
  return method === Method.firstValues ? listOf(handle.get(params)) : handle.all(params);
}

function narrowAll(result: unknown): unknown {
  const rows = Array.isArray(result) ? result : [result];
  for (const row of rows as (Record<string, unknown> | undefined)[]) {
    if (row === undefined) continue;
    for (const key of Object.keys(row)) {
      if (typeof row[key] === 'bigint') row[key] = narrowed(row[key]);
    }
  }
  return result;
}
