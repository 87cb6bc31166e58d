import type { BatchStatement, Pool, Statements, Transaction } from '@poolite/core';
import type { Entry, Step } from './entries.ts';

export const MAKE_LISTS =
  'CREATE TABLE IF NOT EXISTS list (key INTEGER PRIMARY KEY, items TEXT NOT NULL)';
const APPEND = "UPDATE list SET items = items || ',' || ? WHERE key = ?";
const READ = 'SELECT items FROM list WHERE key = ?';
const READ_SOME = 'SELECT key, items FROM list WHERE key BETWEEN ? AND ?';

/** How many lists are in use at a time: few, so that callers meet. */
const WIDTH = 5;
/** Each list is written so often, about: long ones take long to read. */
const ENTRIES_PER_LIST = 40;

export interface LoadOptions {
  /** Whose the load is: values and names differ by it. */
  member: number;
  callers: number;
  /** Calls of each caller. */
  calls: number;
  random: () => number;
}

/** How many lists a load needs. */
export function listsFor({ callers, calls }: { callers: number; calls: number }): number {
  return Math.ceil((callers * calls) / ENTRIES_PER_LIST) + WIDTH;
}

/** What a call has found out so far, whatever becomes of it. */
type Steps = Step[];

class Planned extends Error {}

export function listOf(items: string): number[] {
  return items === '' ? [] : items.slice(1).split(',').map(Number);
}

/** Random transactions and reads, recorded as their callers saw them. */
export class Load {
  readonly history: Entry[] = [];
  /** Calls by their kind. */
  readonly counts: Record<string, number> = {};
  readonly #pool: Pool;
  readonly #options: LoadOptions;
  #values = 0;
  #calls = 0;
  #undone = 0;

  constructor(pool: Pool, options: LoadOptions) {
    this.#pool = pool;
    this.#options = options;
  }

  async run(): Promise<void> {
    const { callers, calls } = this.#options;
    const kinds = Object.entries(this.#kinds());
    const caller = async () => {
      for (let i = 0; i < calls; i++) {
        const [kind, call] = kinds[this.#below(kinds.length)] as (typeof kinds)[number];
        this.counts[kind] = (this.counts[kind] ?? 0) + 1;
        await this.#record(kind, call);
      }
    };
    await Promise.all(Array.from({ length: callers }, caller));
  }

  #below(limit: number): number {
    return Math.floor(this.#options.random() * limit);
  }

  /** One of the lists that are in use: all callers move on together. */
  #key(): number {
    return Math.floor(this.#calls / ENTRIES_PER_LIST) + this.#below(WIDTH);
  }

  #value(): number {
    return this.#options.member * 10_000_000 + ++this.#values;
  }

  async #record(kind: string, call: (steps: Steps) => Promise<unknown>): Promise<void> {
    const name = `${this.#options.member}/${kind}-${++this.#calls}`;
    const steps: Steps = [];
    const start = now();
    let outcome: Entry['outcome'] = 'stored';
    try {
      await call(steps);
    } catch (error) {
      const { code } = error as { code?: string };
      outcome = code === 'POOL_OUTCOME_UNKNOWN' ? 'unknown' : 'refused';
      const isPlanned =
        error instanceof Planned ||
        ['POOL_OUTCOME_UNKNOWN', 'POOL_ABORTED', 'SQLITE_CONSTRAINT_NOTNULL'].includes(`${code}`);
      if (!isPlanned) throw error;
    }
    this.history.push({ name, start, end: now(), steps, outcome });
  }

  async #append(on: Statements, steps: Steps, signal?: AbortSignal): Promise<void> {
    const key = this.#key();
    const value = this.#value();
    // Before its answer, which may never come.
    steps.push({ do: 'append', key, value });
    await on.run(APPEND, [value, key], { signal });
  }

  async #read(on: Statements, steps: Steps): Promise<void> {
    const key = this.#key();
    const row = await on.get<{ items: string }>(READ, [key]);
    steps.push({ do: 'read', key, list: listOf((row as { items: string }).items) });
  }

  async #readSome(on: Statements, steps: Steps): Promise<void> {
    const from = this.#key();
    const rows = await on.values<[number, string]>(READ_SOME, [from, from + 2]);
    for (const [key, items] of rows) steps.push({ do: 'read', key, list: listOf(items) });
  }

  async #stream(on: Statements, steps: Steps): Promise<void> {
    const from = this.#key();
    const rows = on.iterate<{ key: number; items: string }>(READ_SOME, [from, from + WIDTH], {
      chunkSize: 1,
    });
    for await (const { key, items } of rows) steps.push({ do: 'read', key, list: listOf(items) });
  }

  async #either(on: Statements, steps: Steps): Promise<void> {
    if (this.#below(2) === 0) await this.#append(on, steps);
    else if (this.#below(4) > 0) await this.#read(on, steps);
    else await this.#readSome(on, steps);
  }

  async #several(on: Statements, steps: Steps, most: number): Promise<void> {
    for (let i = 1 + this.#below(most); i > 0; i--) await this.#either(on, steps);
  }

  #kinds(): Record<string, (steps: Steps) => Promise<unknown>> {
    const pool = this.#pool;
    const readsOf = async (on: Statements, steps: Steps) => {
      for (let i = 1 + this.#below(4); i > 0; i--) {
        await [this.#read, this.#readSome, this.#stream][this.#below(3)]?.call(this, on, steps);
      }
    };
    return {
      append: (steps) => this.#append(pool, steps),
      'append again': (steps) => this.#append(pool, steps),
      'append and read': (steps) => this.#returning(pool, steps),
      'append, given up': (steps) => this.#givenUp(pool, steps),
      batch: (steps) => this.#batch(pool, steps, false),
      'batch that fails': (steps) => this.#batch(pool, steps, true),
      transaction: (steps) => pool.transaction((tx) => this.#several(tx, steps, 5)),
      'transaction of one': (steps) => pool.transaction((tx) => this.#append(tx, steps)),
      'transaction that throws': (steps) =>
        pool.transaction(async (tx) => {
          await this.#several(tx, steps, 3);
          throw new Planned();
        }),
      'transaction with a savepoint': (steps) =>
        pool.transaction((tx) => this.#withSavepoint(tx, steps)),
      lease: (steps) => this.#onLease(pool, steps),
      read: (steps) => this.#read(pool, steps),
      'read again': (steps) => this.#read(pool, steps),
      'read of several': (steps) => this.#readSome(pool, steps),
      stream: (steps) => this.#stream(pool, steps),
      snapshot: (steps) => pool.snapshot((tx) => readsOf(tx, steps)),
    };
  }

  async #returning(pool: Pool, steps: Steps): Promise<void> {
    const key = this.#key();
    const value = this.#value();
    steps.push({ do: 'append', key, value });
    const row = await pool.get<{ items: string }>(`${APPEND} RETURNING items`, [value, key]);
    steps.push({ do: 'read', key, list: listOf((row as { items: string }).items) });
  }

  async #givenUp(pool: Pool, steps: Steps): Promise<void> {
    const controller = new AbortController();
    const appended = this.#append(pool, steps, controller.signal);
    if (this.#below(2) === 0) await Promise.resolve();
    else await new Promise((resolve) => setImmediate(resolve));
    controller.abort();
    await appended;
  }

  async #batch(pool: Pool, steps: Steps, fails: boolean): Promise<void> {
    const statements: BatchStatement[] = [];
    const planned: ((rows: readonly { items: string }[]) => Step)[] = [];
    for (let i = 2 + this.#below(3); i > 0; i--) {
      const key = this.#key();
      if (this.#below(2) === 0) {
        const value = this.#value();
        const step: Step = { do: 'append', key, value };
        steps.push(step);
        planned.push(() => step);
        statements.push({ sql: APPEND, params: [value, key] });
      } else {
        planned.push((rows) => ({ do: 'read', key, list: listOf(rows[0]?.items ?? '') }));
        statements.push({ sql: READ, params: [key] });
      }
    }
    if (fails) statements.push({ sql: 'UPDATE list SET items = NULL WHERE key = ?', params: [0] });
    const results = await pool.batch(statements);
    // In their order, now that all is known.
    steps.length = 0;
    for (const [i, step] of planned.entries()) {
      steps.push(step((results[i]?.rows ?? []) as unknown as { items: string }[]));
    }
  }

  /** What was done in a savepoint that is undone was never done: it is an entry of its own, refused. */
  async #withSavepoint(tx: Transaction, steps: Steps): Promise<void> {
    await this.#several(tx, steps, 2);
    const undone: Steps = [];
    const start = now();
    const work = tx.savepoint(async (inner) => {
      await this.#several(inner, undone, 2);
      throw new Planned();
    });
    await work.catch((error: unknown) => {
      if (!(error instanceof Planned)) throw error;
    });
    const name = `${this.#options.member}/savepoint-${++this.#undone}`;
    this.history.push({ name, start, end: now(), steps: undone, outcome: 'refused' });
    await this.#several(tx, steps, 2);
  }

  async #onLease(pool: Pool, steps: Steps): Promise<void> {
    const lease = await pool.lease('write');
    try {
      await lease.run('BEGIN IMMEDIATE');
      await this.#several(lease, steps, 3);
      await lease.run('COMMIT');
    } finally {
      await lease.release();
    }
  }
}

/** In microseconds, by a clock that all processes of a machine have in common. */
function now(): number {
  return Number(process.hrtime.bigint()) / 1000;
}
