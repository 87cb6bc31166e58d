import { type LeaseOptions, type Params, PoolError } from '@poolite/core';
import type { ReplicationMode } from 'typeorm/driver/types/ReplicationMode.js';
import type { QueryResult } from 'typeorm/query-runner/QueryResult.js';
import type { PooliteDriver } from './driver.js';
import { boundInsert } from './inserts.js';
import { rowsResult, toResult } from './result.js';
import { asksBusyTimeout, type Route, routeOf } from './route.js';
import { Session } from './session.js';

const ON_WRITER = { access: 'write' } as const;
const ON_READER = { access: 'read' } as const;

/**
 * What a query runner runs its statements on. It is no connection of the pool's until it must be
 * one: statements go to where they are best run, one by one. A transaction, or a statement whose
 * effect stays with its connection, makes it hold one until that is over, or until it is released.
 */
export class RunnerConnection {
  readonly #driver: PooliteDriver;
  readonly #mode: ReplicationMode;
  #session: Session | undefined;
  #opening: Promise<Session> | undefined;
  /** Statements under way on the session. */
  #running = 0;
  /** Those who want the session to last, whatever its own needs. */
  #pins = 0;
  #released = false;
  #migrating = false;
  /** Statements so far, and how many of them left something with the connection. */
  #statements = 0;
  #leaving = 0;

  constructor(driver: PooliteDriver, mode: ReplicationMode) {
    this.#driver = driver;
    this.#mode = mode;
  }

  /** Says that the caller runs inside the transaction from here on, where there is one. */
  enter(): void {
    this.#session?.lease.enter();
  }

  execute(sql: string, params: Params | undefined): Promise<QueryResult> {
    const bound = boundInsert(sql, params);
    return bound === undefined
      ? this.#execute(sql, params)
      : this.#execute(bound.sql, bound.params);
  }

  async #execute(sql: string, params: Params | undefined): Promise<QueryResult> {
    const route = routeOf(sql);
    if (route.refusal !== undefined) {
      throw new PoolError('POOL_MISUSE', `${sql.trim()}: ${route.refusal}`);
    }
    this.#statements++;
    if (route.setting !== undefined || route.leaves !== undefined) this.#leaving++;
    if (this.#session === undefined && this.#opening === undefined && !route.needsSession) {
      return this.#oneShot(route, sql, params);
    }
    this.#running++;
    try {
      const session = await (this.#opening ?? this.#session ?? this.hold());
      return toResult(route, await session.run(route, sql, params));
    } finally {
      this.#running--;
      if (!this.#isSettled) await this.#settle();
    }
  }

  async #oneShot(route: Route, sql: string, params: Params | undefined): Promise<QueryResult> {
    const { pool, readsOnWriter } = this.#driver;
    if (route.kind === 'read') {
      const onWriter = route.onWriter || (readsOnWriter && this.#mode === 'master');
      if (!onWriter) return rowsResult(await pool.all(sql, params));
      return rowsResult((await pool.query(sql, params, ON_WRITER)).rows);
    }
    if (asksBusyTimeout(sql)) return rowsResult(await pool.all(sql, params, ON_READER));
    return toResult(route, await pool.query(sql, params));
  }

  async stream(sql: string, params: Params | undefined): Promise<AsyncIterableIterator<unknown>> {
    const session = await this.#current();
    return (session?.lease ?? this.#driver.pool).iterate(sql, params);
  }

  /** Takes a connection, a reader's for what only reads. Call it synchronously to `enter` it. */
  hold(options: LeaseOptions = {}): Promise<Session> {
    if (this.#session !== undefined) return Promise.resolve(this.#session);
    this.#opening ??= this.#open(options);
    return this.#opening;
  }

  async #open(options: LeaseOptions): Promise<Session> {
    try {
      const { pool, isReadonly } = this.#driver;
      const access = this.#mode === 'slave' || isReadonly ? 'read' : 'write';
      this.#session = new Session(pool, await pool.lease(access, options));
      return this.#session;
    } finally {
      this.#opening = undefined;
    }
  }

  /** Keeps the session, once there is one, while `work` runs. */
  async pinned(work: () => Promise<void>): Promise<void> {
    this.#pins++;
    try {
      await work();
    } finally {
      this.#pins--;
      if (!this.#isSettled) await this.#settle();
    }
  }

  /** Turns foreign keys off, and holds the writer until `endMigration`, or the release. */
  async beginMigration(): Promise<void> {
    const current = await this.#current();
    const inTransaction = current?.lease.inTransaction === true;
    if (current !== undefined && inTransaction) {
      // There the setting would not change. TypeORM's undoLastMigration begins one right before.
      if (!current.isFreshTransaction) return;
      this.#session = undefined;
      await current.release(false);
    }
    if (!this.#migrating) this.#pins++;
    this.#migrating = true;
    // A migration may take as long as it must.
    const session = await this.hold({ timeout: 0 });
    for (const sql of ['PRAGMA foreign_keys = OFF', ...(inTransaction ? ['BEGIN'] : [])]) {
      await session.run(routeOf(sql), sql, undefined);
    }
  }

  /** Turns foreign keys on again: inside a transaction, when that has ended. */
  async endMigration(): Promise<void> {
    if (!this.#migrating) return;
    this.#migrating = false;
    this.#pins--;
    this.#session?.restoreLater('foreign_keys');
    await this.#settle();
  }

  /** Gives back what is held; an open transaction is rolled back. */
  release(): Promise<void> {
    this.#released = true;
    if (this.#session === undefined && this.#opening === undefined) return Promise.resolve();
    return this.#release();
  }

  async #release(): Promise<void> {
    const session = await this.#current();
    this.#session = undefined;
    await session?.release(this.#statements === this.#leaving);
  }

  /** The session that there is, or is about to be. */
  async #current(): Promise<Session | undefined> {
    try {
      return await (this.#opening ?? this.#session);
    } catch {
      // Whoever asked for it was told why there is none.
      return undefined;
    }
  }

  get #isBusy(): boolean {
    return this.#released || this.#running > 0 || this.#pins > 0;
  }

  /** Whether the connection is certainly not to be given back yet: it has a transaction open. */
  get #isSettled(): boolean {
    return this.#isBusy || this.#session?.isInTransaction === true;
  }

  /** Gives the connection back where nothing needs it any more. */
  async #settle(): Promise<void> {
    if (this.#isBusy) return;
    const session = await this.#current();
    if (session === undefined || session !== this.#session || this.#isBusy) return;
    // The isolation level was for the transaction alone, and so is what a migration set.
    if (!session.isInTransaction) await session.endTransaction();
    if (session.isNeeded || session !== this.#session || this.#isBusy) return;
    this.#session = undefined;
    await session.release(false);
  }
}
