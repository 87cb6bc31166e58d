import { type Lease, type Params, type Pool, PoolError, type StatementResult } from '@poolite/core';
import { isPlainBegin, type Route, WRITER_SETTINGS } from './route.js';

/** One connection of the pool, held for one query runner. */
export class Session {
  readonly lease: Lease;
  readonly #pool: Pool;
  /** Settings that were changed, with their values before. */
  readonly #changed = new Map<string, unknown>();
  /** Settings that last no longer than a transaction: TypeORM sets this one with its isolation level. */
  readonly #transient = new Set(['read_uncommitted']);
  #attached: string[] = [];
  #temporary = false;
  /** A transaction was begun, and neither committed nor rolled back by whoever began it. */
  #begun = false;
  #ranInTransaction = 0;

  constructor(pool: Pool, lease: Lease) {
    this.#pool = pool;
    this.lease = lease;
  }

  /** Whether a transaction is open, or was, and its end was not asked for yet. */
  get isInTransaction(): boolean {
    return this.#begun || this.lease.inTransaction;
  }

  /** Whether the connection has something that only its next statement can use. */
  get isNeeded(): boolean {
    return (
      this.isInTransaction || this.#changed.size > 0 || this.#attached.length > 0 || this.#temporary
    );
  }

  /** Whether its transaction has run no statement yet. */
  get isFreshTransaction(): boolean {
    return this.lease.inTransaction && this.#ranInTransaction === 0;
  }

  async run(
    route: Route,
    sql: string,
    params: Params | undefined,
  ): Promise<StatementResult<unknown>> {
    const { kind } = route;
    if (kind === 'begin') return this.#begin(sql);
    if (kind === 'commit' || kind === 'rollback') return this.#end(kind, sql);
    this.#ranInTransaction++;
    if (route.setting !== undefined) return this.#set(route.setting, sql);
    if (route.leaves === 'attached') return this.#attach(sql);
    const result = await this.lease.query(sql, params);
    if (route.leaves === 'temporary') this.#temporary = true;
    return result;
  }

  async #begin(sql: string): Promise<StatementResult<unknown>> {
    // A deferred transaction that reads first may find at its first write that another process
    // wrote in between: https://sqlite.org/isolation.html. A reader's cannot write.
    const immediate = this.lease.access === 'write' && isPlainBegin(sql);
    const result = await this.lease.query(immediate ? 'BEGIN IMMEDIATE' : sql);
    this.#begun = true;
    this.#ranInTransaction = 0;
    return result;
  }

  async #end(kind: 'commit' | 'rollback', sql: string): Promise<StatementResult<unknown>> {
    try {
      const result = await this.lease.query(sql);
      this.#begun = false;
      return result;
    } catch (error) {
      if (kind === 'commit' || !this.#begun || !wasTaken(error)) throw error;
      // The connection was taken away with its transaction: that is rolled back already.
      this.#begun = false;
      return { rows: [], changes: 0, lastInsertRowid: 0 };
    }
  }

  async #set(setting: string, sql: string): Promise<StatementResult<unknown>> {
    const before = await this.#valueOf(setting);
    const result = await this.lease.query(sql);
    const after = await this.#valueOf(setting);
    const first = this.#changed.has(setting) ? this.#changed.get(setting) : before;
    if (after === first) this.#changed.delete(setting);
    else this.#changed.set(setting, first);
    return result;
  }

  async #valueOf(setting: string): Promise<unknown> {
    return (await this.lease.values(`PRAGMA ${setting}`))[0]?.[0];
  }

  async #attach(sql: string): Promise<StatementResult<unknown>> {
    const before = await this.#databases();
    const result = await this.lease.query(sql);
    const after = await this.#databases();
    const made = after.filter((name) => !before.includes(name));
    this.#attached = [...this.#attached.filter((name) => after.includes(name)), ...made];
    return result;
  }

  async #databases(): Promise<string[]> {
    return (await this.lease.values('PRAGMA database_list')).map(([, name]) => String(name));
  }

  /** From now on, the end of a transaction sets this back. */
  restoreLater(setting: string): void {
    this.#transient.add(setting);
  }

  /** Sets back what was for the transaction alone, which has ended. */
  endTransaction(): Promise<void> {
    return this.#restore(this.#transient);
  }

  async #restore(settings: Iterable<string>): Promise<void> {
    for (const setting of settings) {
      const value = this.#changed.get(setting);
      if (value === undefined) continue;
      this.#changed.delete(setting);
      await this.#put(`PRAGMA ${setting} = ${String(value)}`);
    }
  }

  /**
   * Gives the connection back as it was found. Settings that were all that its runner did stay,
   * as on TypeORM's one connection, where they can; what cannot stay is refused.
   *
   * @param alone whether nothing but what must stay was run.
   */
  async release(alone: boolean): Promise<void> {
    const { lease } = this;
    let refusal: PoolError | undefined;
    if (alone && !lease.inTransaction) refusal = this.#leave();
    if (this.#changed.size > 0 || this.#attached.length > 0) {
      // Some settings do not change inside a transaction.
      if (lease.inTransaction) await this.#put('ROLLBACK');
      await this.#restore([...this.#changed.keys()]);
      for (const name of this.#attached) {
        await this.#put(`DETACH "${name.replaceAll('"', '""')}"`);
      }
    }
    this.#begun = false;
    try {
      await lease.release();
    } catch (error) {
      // It was taken away before: whoever used it after that was told why.
      if (!PoolError.is(error)) throw error;
    }
    if (refusal !== undefined) throw refusal;
  }

  /** Lets settings of the writer stay; tells why others cannot. */
  #leave(): PoolError | undefined {
    if (this.#attached.length > 0) {
      return cannotStay(
        'ATTACH',
        "name the file in an entity's option 'database', or attach it in a module that is named " +
          'as poolite({ setup })',
      );
    }
    if (this.#temporary) {
      return cannotStay('a temporary table', 'use a query runner of your own, or a transaction');
    }
    for (const setting of this.#changed.keys()) {
      if (!WRITER_SETTINGS.has(setting) || this.lease.access !== 'write') {
        return cannotStay(
          `PRAGMA ${setting}`,
          `set it for all as poolite({ pragmas: { ${setting}: … } }), or on a query runner of your own`,
        );
      }
    }
    this.#changed.clear();
    return undefined;
  }

  /** Also where the lease was taken away, with its settings still on the connection. */
  async #put(sql: string): Promise<void> {
    try {
      await this.lease.query(sql);
    } catch (error) {
      if (!PoolError.is(error)) throw error;
      if (error.code === 'POOL_CLOSED' || error.code === 'POOL_THREAD_LOST') return;
      if (sql !== 'ROLLBACK') await this.#pool.query(sql);
    }
  }
}

function wasTaken(error: unknown): boolean {
  if (!PoolError.is(error)) return false;
  const { code } = error;
  return code === 'POOL_TIMEOUT' || code === 'POOL_THREAD_LOST' || code === 'POOL_CLOSED';
}

function cannotStay(what: string, instead: string): PoolError {
  return new PoolError(
    'POOL_MISUSE',
    `${what} concerns one connection, and a pool has several: ${instead}`,
  );
}
