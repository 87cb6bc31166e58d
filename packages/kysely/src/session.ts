import type { Lease, Pool, StatementResult } from '@poolite/core';
import { PoolError } from '@poolite/core';
import type { LastWrite } from './result.js';
import type { Route } from './route.js';

type Parameters = readonly unknown[];

/** A connection of the pool, held: what it keeps for itself is there until it is released. */
export class Session {
  readonly lease: Lease;
  /** Whether it holds more than a transaction: then it outlives the transaction. */
  kept = false;
  readonly #pool: Pool;
  /** Settings that were changed, with their values before: the next session must not meet them. */
  readonly #before = new Map<string, unknown>();
  #seeded = false;

  constructor(pool: Pool, lease: Lease) {
    this.#pool = pool;
    this.lease = lease;
  }

  async run<R>(
    route: Route,
    sql: string,
    parameters: Parameters,
    limits?: { signal: AbortSignal },
  ): Promise<StatementResult<R>> {
    if (route.needsSession) this.kept = true;
    const { setting } = route;
    if (setting !== undefined && !this.#before.has(setting)) {
      const values = await this.lease.values(`PRAGMA ${setting}`);
      this.#before.set(setting, values[0]?.[0]);
    }
    return this.lease.query<R>(sql, parameters as never, limits);
  }

  /**
   * Makes `last_insert_rowid()` and `changes()` tell of this session's last write, where others
   * had the connection in between. SQLite sets the first with each insert, and the second with
   * each write: https://sqlite.org/c3ref/last_insert_rowid.html
   */
  async recall(route: Route, { changes, lastInsertRowid }: LastWrite): Promise<void> {
    const { lease } = this;
    this.#seeded = true;
    const table = 'temp.poolite_rowid';
    const counted = 'temp.poolite_changes';
    await lease.run(`CREATE TEMP TABLE IF NOT EXISTS poolite_rowid (id INTEGER PRIMARY KEY)`);
    await lease.run(`CREATE TEMP TABLE IF NOT EXISTS poolite_changes (n)`);
    await lease.run(`DELETE FROM ${table}`);
    if (route.asksChanges) {
      await lease.run(`DELETE FROM ${counted}`);
      await lease.run(
        `WITH RECURSIVE c (n) AS (SELECT 1 WHERE :n > 0 UNION ALL SELECT n + 1 FROM c WHERE n < :n)
         INSERT INTO ${counted} SELECT n FROM c`,
        { n: changes },
      );
    }
    await lease.run(`INSERT INTO ${table} VALUES (?)`, [lastInsertRowid]);
    if (route.asksChanges) await lease.run(`UPDATE ${counted} SET n = NULL`);
  }

  /** Gives the connection back as it was found, but for the objects in `temp`. */
  async release(): Promise<void> {
    if (this.#before.size > 0 || this.#seeded) await this.#tidy();
    try {
      await this.lease.release();
    } catch (error) {
      // It was taken away before: whoever used it after that was told why.
      if (!PoolError.is(error)) throw error;
    }
  }

  async #tidy(): Promise<void> {
    const { lease } = this;
    const statements: string[] = [];
    // Some settings are not changed inside a transaction.
    if (lease.inTransaction) statements.push('ROLLBACK');
    for (const [setting, value] of this.#before) {
      if (value !== undefined) statements.push(`PRAGMA ${setting} = ${String(value)}`);
    }
    if (this.#seeded) {
      statements.push('DROP TABLE IF EXISTS temp.poolite_rowid');
      statements.push('DROP TABLE IF EXISTS temp.poolite_changes');
    }
    let taken = false;
    for (const sql of statements) {
      if (!taken) {
        try {
          await lease.query(sql);
          continue;
        } catch (error) {
          if (!PoolError.is(error)) throw error;
          if (error.code === 'POOL_CLOSED' || error.code === 'POOL_THREAD_LOST') return;
          taken = true;
        }
      }
      // A lease that lasted too long was taken away, with its settings still on the connection.
      if (sql !== 'ROLLBACK') await this.#pool.query(sql);
    }
  }
}
