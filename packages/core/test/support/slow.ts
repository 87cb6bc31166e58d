import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import type { Pool, PoolOptions } from '@poolite/core';
import { expect } from 'vitest';
import { freshFile, openPool, writeModule } from './folder.ts';
import { sharedPool } from './shared-pool.ts';

/** Statements that call the SQL function of this name stay inside SQLite while this is closed. */
export class Hold {
  readonly #closed: string;
  readonly #begun: string;
  readonly #name: string;

  /** @param file the database, beside which it says what it is. */
  constructor(file: string, name: string) {
    this.#name = name;
    this.#closed = `${file}.${name}`;
    this.#begun = `${file}.${name}-begun`;
  }

  /** What a `setup` module says to have the function. */
  get setup(): string {
    const [closed, begun] = [this.#closed, this.#begun].map((each) => JSON.stringify(each));
    return `db.function('${this.#name}', () => {
      appendFileSync(${begun}, 'x');
      while (existsSync(${closed})) Atomics.wait(word, 0, 0, 2);
      return 1;
    });`;
  }

  close(): void {
    writeFileSync(this.#closed, '');
  }

  open(): void {
    rmSync(this.#closed, { force: true });
  }

  /** As if no statement had called the function yet. */
  forget(): void {
    for (const path of [this.#closed, this.#begun]) rmSync(path, { force: true });
  }

  /** How many statements have called the function so far. */
  get count(): number {
    return existsSync(this.#begun) ? readFileSync(this.#begun).length : 0;
  }

  /** Waits until so many statements have called it. */
  async begun(count: number): Promise<void> {
    await expect.poll(() => this.count).toBeGreaterThanOrEqual(count);
  }
}

export interface Slow {
  pool: Pool;
  file: string;
  /** The module of its functions. */
  setup: string;
  hold: Hold;
  /** For those who call `held_too()`. */
  other: Hold;
}

/**
 * A pool with SQL functions that keep a thread inside SQLite, in a statement that nothing can
 * interrupt: `sleep(ms)` for so long, `held()` until the hold is opened. Reads stay off the calling
 * thread, which must not sleep.
 */
export async function slowPool(options?: PoolOptions): Promise<Slow> {
  const beside = functionsBeside(freshFile());
  const pool = openPool(beside.file, { ...SLOW, setup: beside.setup, ...options });
  await pool.exec(TABLE);
  return { pool, ...beside };
}

/** The same in one pool for the tests of a file that leave it idle, and their holds open. */
export function sharedSlowPool(): () => Promise<Slow> {
  let beside: Omit<Slow, 'pool'> | undefined;
  const freshPool = sharedPool((file) => {
    beside = functionsBeside(file);
    return { ...SLOW, setup: beside.setup };
  });
  return async () => {
    const pool = await freshPool(TABLE);
    if (beside === undefined) throw new Error('there is no pool yet');
    beside.hold.forget();
    beside.other.forget();
    return { pool, ...beside };
  };
}

const TABLE = 'CREATE TABLE t (id INTEGER PRIMARY KEY, who TEXT)';
const SLOW = { readers: 1, inlineReads: 'off' } as const satisfies PoolOptions;

function functionsBeside(file: string): Omit<Slow, 'pool'> {
  const hold = new Hold(file, 'held');
  const other = new Hold(file, 'held_too');
  const setup = writeModule(
    file,
    'slow.mjs',
    `import { appendFileSync, existsSync } from 'node:fs';
    const word = new Int32Array(new SharedArrayBuffer(4));
    export default (db) => {
      db.function('sleep', (ms) => (Atomics.wait(word, 0, 0, ms), ms));
      ${hold.setup}
      ${other.setup}
    };`,
  );
  return { file, setup, hold, other };
}
