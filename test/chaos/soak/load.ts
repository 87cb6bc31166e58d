import { rmSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { createPool, type Pool } from '@poolite/core';
import { PATIENT } from '../entries.ts';

const ACCOUNTS = 50;
/** So many rows each writer leaves of its own. */
const KEPT = 500;
/** A caller thinks for up to so long, in ms, between two calls: what is looked for is what grows. */
const THINKING = 8;
/** What is not done all the time is done once in so long, in ms. */
const SELDOM = 5000;

const setup = fileURLToPath(new URL('../model/deadly.mjs', import.meta.url));

/** How a call may end that is given up, or whose thread was killed by another. */
const EXPECTED = ['POOL_ABORTED', 'POOL_TIMEOUT', 'POOL_OUTCOME_UNKNOWN', 'POOL_THREAD_LOST'];

const SLOW = `WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < 200000)
  SELECT max(i) AS i FROM c`;

/** Mixed calls on one pool, for as long as is wanted, with rests. */
export class SoakLoad {
  readonly pool: Pool;
  /** Calls by their kind, and how they failed. */
  readonly counts: Record<string, number> = {};
  readonly #file: string;
  readonly #random: () => number;
  #ending = false;
  #failure: unknown;
  #working = 0;
  #callers: Promise<void>[] = [];
  /** Those who wait for the end of a rest. */
  #rest: { over: Promise<void>; end: () => void } | undefined;

  constructor(file: string, random: () => number) {
    this.#file = file;
    this.#random = random;
    this.pool = openSoaked(file);
  }

  async begin(): Promise<void> {
    await this.pool.exec(`
      CREATE TABLE entry (id INTEGER PRIMARY KEY, caller TEXT, text TEXT);
      CREATE INDEX entry_caller ON entry (caller, id);
      CREATE TABLE account (id INTEGER PRIMARY KEY, cents INTEGER NOT NULL);
    `);
    const accounts = Array.from({ length: ACCOUNTS }, (_, i) => [i, 1000]);
    await this.pool.runMany('INSERT INTO account VALUES (?, ?)', accounts);
    for (const [kind, [callers, pause, call]] of Object.entries(this.#kinds())) {
      for (let i = 0; i < callers; i++) this.#callers.push(this.#caller(kind, i, pause, call));
    }
  }

  /** Lets everybody finish what they do, runs `look`, and lets them go on. */
  async resting<T>(look: () => Promise<T>): Promise<T> {
    let end = () => {};
    const over = new Promise<void>((resolve) => {
      end = resolve;
    });
    this.#rest = { over, end };
    try {
      while (this.#working > 0) await delay(5);
      if (this.#failure !== undefined) throw this.#failure;
      return await look();
    } finally {
      this.#rest = undefined;
      end();
    }
  }

  async end(): Promise<void> {
    this.#ending = true;
    await Promise.all(this.#callers);
    if (this.#failure !== undefined) throw this.#failure;
    const sum = await this.pool.get<{ cents: number }>('SELECT sum(cents) AS cents FROM account');
    if (sum?.cents !== ACCOUNTS * 1000) throw new Error(`the sum is ${sum?.cents}`);
    await this.pool.close();
  }

  async #caller(kind: string, i: number, pause: number, call: Call): Promise<void> {
    for (let number = 0; !this.#ending; number++) {
      await this.#rest?.over;
      this.#working++;
      try {
        await call(`${kind}-${i}`, number);
        this.#count(kind);
      } catch (error) {
        const { code } = error as { code?: string };
        if (code === undefined || !EXPECTED.includes(code)) {
          this.#failure ??= error;
          this.#ending = true;
        }
        this.#count(`${kind}: ${code}`);
      } finally {
        this.#working--;
      }
      // A long pause ends with the load.
      const until = performance.now() + this.#random() * 2 * pause;
      do await delay(Math.min(pause, 100) * this.#random());
      while (!this.#ending && performance.now() < until);
    }
  }

  #count(what: string): void {
    this.counts[what] = (this.counts[what] ?? 0) + 1;
  }

  #insert(caller: string): Promise<unknown> {
    return this.pool.run('INSERT INTO entry (caller, text) VALUES (?, ?)', [
      caller,
      'x'.repeat(200),
    ]);
  }

  async #transfer(): Promise<void> {
    const from = Math.floor(this.#random() * ACCOUNTS);
    const to = (from + 1) % ACCOUNTS;
    await this.pool.transaction(async (tx) => {
      await tx.run('UPDATE account SET cents = cents - 1 WHERE id = ?', [from]);
      await tx.savepoint((inner) =>
        inner.run('UPDATE account SET cents = cents + 1 WHERE id = ?', [to]),
      );
    });
  }

  #kinds(): Record<string, [callers: number, pause: number, call: Call]> {
    const { pool } = this;
    return {
      insert: [6, THINKING, (caller) => this.#insert(caller)],
      delete: [
        1,
        100,
        () =>
          pool.run(`DELETE FROM entry WHERE id <= (SELECT max(id) FROM entry) - ?`, [KEPT * 10]),
      ],
      transfer: [4, THINKING, () => this.#transfer()],
      batch: [
        2,
        THINKING,
        (caller) =>
          pool.batch(
            [1, 2, 3].map(() => ({
              sql: 'INSERT INTO entry (caller, text) VALUES (?, ?) RETURNING id',
              params: [caller, 'batch'],
            })),
          ),
      ],
      runMany: [
        1,
        500,
        (caller) =>
          pool.runMany('INSERT INTO entry (caller, text) VALUES (?, ?)', rows(caller, KEPT)),
      ],
      read: [8, THINKING, (_, i) => pool.get('SELECT * FROM account WHERE id = ?', [i % ACCOUNTS])],
      'many texts': [1, THINKING, (_, i) => pool.get(`SELECT ${i} AS i`)],
      'large read': [2, 50, () => pool.all('SELECT * FROM entry LIMIT 3000')],
      'slow read': [1, 300, () => pool.get(SLOW)],
      stream: [2, 50, (_, i) => this.#stream(i % 2 === 0 ? 50 : 2000)],
      snapshot: [
        2,
        50,
        () =>
          pool.snapshot(async (tx) => {
            const [[sum] = []] = await tx.values<[number]>('SELECT sum(cents) FROM account');
            await tx.values('SELECT count(*) FROM entry');
            if (sum !== ACCOUNTS * 1000) throw new Error(`a snapshot has the sum ${sum}`);
          }),
      ],
      lease: [1, 50, () => this.#lease()],
      'given up': [2, THINKING, (caller) => this.#givenUp(caller)],
      late: [1, THINKING, () => pool.get(SLOW, [], { timeout: 1 })],
      death: [1, SELDOM * 2, () => pool.get('SELECT die(1)')],
      backup: [1, SELDOM, () => pool.backup(`${this.#file}.backup`)],
      'another pool': [1, SELDOM / 5, () => this.#another()],
    };
  }

  async #stream(most: number): Promise<void> {
    let count = 0;
    for await (const _ of this.pool.iterate('SELECT * FROM entry ORDER BY id', [])) {
      // Some are left before their end.
      if (++count === most) break;
    }
  }

  async #lease(): Promise<void> {
    const lease = await this.pool.lease('write');
    try {
      await lease.run('BEGIN IMMEDIATE');
      await lease.run('UPDATE account SET cents = cents + 1');
      await lease.run('ROLLBACK');
    } finally {
      await lease.release();
    }
  }

  async #givenUp(caller: string): Promise<void> {
    const controller = new AbortController();
    const { signal } = controller;
    setImmediate(() => controller.abort());
    const insert = 'INSERT INTO entry (caller, text) VALUES (?, ?)';
    if (this.#random() < 0.5) await this.pool.run(insert, [caller, ''], { signal });
    else await this.pool.transaction((tx) => tx.run(insert, [caller, '']), { signal });
  }

  async #another(): Promise<void> {
    const file = `${this.#file}.another`;
    const pool = openSoaked(file);
    await pool.exec('CREATE TABLE IF NOT EXISTS t (v)');
    await pool.run('INSERT INTO t VALUES (1)');
    await pool.get('SELECT count(*) FROM t');
    await pool.close();
    rmSync(file);
  }
}

type Call = (caller: string, number: number) => Promise<unknown>;

export const WAL_LIMIT = 8 * 1024 * 1024;

export function openSoaked(file: string): Pool {
  return createPool(file, {
    ...{ readers: 2, setup, ...PATIENT },
    checkpoint: { walLimit: WAL_LIMIT },
  });
}

function* rows(caller: string, count: number): Generator<[string, string]> {
  for (let i = 0; i < count; i++) yield [caller, `row ${i}`];
}
