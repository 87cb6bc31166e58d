import { type LeaseOptions, type Pool, PoolError } from '@poolite/core';
import {
  CompiledQuery,
  type DatabaseConnection,
  type QueryResult,
  type TransactionSettings,
} from 'kysely';
import { MigrationRun } from './migration-run.js';
import { type LastWrite, queryResult } from './result.js';
import { type Route, routeOf } from './route.js';
import { Session } from './session.js';

/** The transaction of a connection: what it runs to begin and to end, and what it holds. */
interface Transaction {
  readonly commit: readonly string[];
  readonly rollback: readonly string[];
  readonly session: Session;
  readonly readOnly?: boolean;
}

/**
 * What Kysely takes for a connection. It holds none of the pool's until it must: statements go to
 * where they are best run, one by one. From the second write on, or from the first statement whose
 * effect stays with the connection, it holds the writer until it is released.
 */
export class PooliteConnection implements DatabaseConnection {
  readonly #pool: Pool;
  #session: Session | undefined;
  #transaction: Transaction | undefined;
  #migration: MigrationRun | undefined;
  #last: LastWrite | undefined;
  /** Whether others may have written on the writer's connection since the last write. */
  #stale = false;
  /** What Kysely logs as one statement, and what is run for it. */
  #control: { query: CompiledQuery; run: () => Promise<unknown> } | undefined;

  /** Cancels the statement that comes next, or runs: where its caller chose to cancel it. */
  #cancels: AbortController | undefined;

  constructor(pool: Pool) {
    this.#pool = pool;
  }

  /** Kysely calls it before a query with a signal that it will cancel, not only ignore, if aborted. */
  async collectSessionInfo(): Promise<void> {
    this.#cancels = new AbortController();
  }

  /** Interrupts the statement that runs. */
  async cancelQuery(): Promise<void> {
    this.#cancels?.abort(new Error('cancelled by its signal'));
  }

  async executeQuery<R>(
    query: CompiledQuery,
    options?: { readonly signal?: AbortSignal | undefined },
  ): Promise<QueryResult<R>> {
    const limits = this.#limitsOf(options);
    if (this.#control?.query === query) {
      await this.#control.run();
      return { rows: [] };
    }
    const { sql, parameters } = query;
    const route = routeOf(sql);
    if (this.#migration !== undefined) {
      return queryResult(route, await this.#migration.run<R>(route, query));
    }
    const session = this.#session ?? this.#sessionFor(route);
    if (session !== undefined) {
      return this.#inSession<R>(await session, route, sql, parameters, limits);
    }
    if (route.kind === 'read') {
      if (!asks(route)) return { rows: await this.#pool.all<R>(sql, parameters as never, limits) };
      const onWriter = { ...limits, access: 'write' } as const;
      return { rows: (await this.#pool.query<R>(sql, parameters as never, onWriter)).rows };
    }
    const result = await this.#pool.query<R>(sql, parameters as never, limits);
    this.#wrote(result, true);
    return queryResult(route, result);
  }

  async *streamQuery<R>(
    query: CompiledQuery,
    chunkSize?: number,
    given?: { readonly signal?: AbortSignal | undefined },
  ): AsyncIterableIterator<QueryResult<R>> {
    const limits = this.#limitsOf(given);
    const { sql, parameters } = query;
    const route = routeOf(sql);
    // Rows that a write returns are all there before the first is read.
    if (this.#migration !== undefined || route.kind !== 'read') {
      yield (await PooliteConnection.prototype.executeQuery.call(
        this,
        query,
        given,
      )) as QueryResult<R>;
      return;
    }
    const size = Math.min(Math.max(1, Math.trunc(chunkSize ?? 100)), 65_536);
    const session = await (this.#session ?? this.#sessionFor(route));
    if (session !== undefined) await this.#recall(session, route);
    const options = {
      ...limits,
      chunkSize: size,
      ...(asks(route) ? { access: 'write' as const } : {}),
    };
    const source = session?.lease ?? this.#pool;
    let rows: R[] = [];
    for await (const row of source.iterate<R>(sql, parameters as never, options)) {
      rows.push(row);
      if (rows.length < size) continue;
      yield { rows };
      rows = [];
    }
    if (rows.length > 0) yield { rows };
  }

  /** Call it synchronously: the caller's asynchronous context is marked as inside from then on. */
  begin({ accessMode, isolationLevel }: TransactionSettings): Promise<void> {
    if (isolationLevel === 'read uncommitted') {
      throw new PoolError(
        'POOL_MISUSE',
        "isolation level 'read uncommitted' cannot be had: transactions of a pool are serializable",
      );
    }
    if (this.#migration !== undefined) return this.#beginInMigration(this.#migration);
    return accessMode === 'read only' ? this.#beginReading() : this.#beginWriting();
  }

  commit(): Promise<void> {
    return this.#end('commit');
  }

  rollback(): Promise<void> {
    return this.#end('rollback');
  }

  /** Holds the writer without limits of time; call it synchronously, as `begin`. */
  async startMigrating(exclude: (file: string) => Promise<() => Promise<void>>): Promise<void> {
    const session = await this.#hold({ enter: true, timeout: 0, acquireTimeout: 0 });
    // A lease that starts with BEGIN may be given up with its COMMIT: this one must last.
    await session.lease.get('SELECT 1');
    // No other process has the replica of a store open, and other machines no lock here would stop.
    const isReplica = this.#pool.stats().replica !== undefined;
    const unlock = isReplica ? async () => {} : await exclude(this.#pool.file);
    this.#migration = new MigrationRun(session, unlock);
  }

  async endMigrating(): Promise<void> {
    const migration = this.#migration;
    this.#migration = undefined;
    await migration?.end();
  }

  async release(): Promise<void> {
    await this.endMigrating();
    const session = this.#session;
    this.#session = undefined;
    await session?.release();
  }

  /** The session that a statement needs; none where any connection may run it. */
  #sessionFor(route: Route): Promise<Session> | undefined {
    if (route.needsSession) return this.#hold({});
    if (this.#last === undefined) return undefined;
    return route.kind !== 'read' || asks(route) ? this.#hold({}) : undefined;
  }

  async #hold(options: LeaseOptions, access: 'read' | 'write' = 'write'): Promise<Session> {
    const lease = await this.#pool.lease(access, options);
    this.#session = new Session(this.#pool, lease);
    this.#stale = true;
    return this.#session;
  }

  /** The limits of a query; none for those that no one cancels, whose way is shorter. */
  #limitsOf(options: { readonly signal?: AbortSignal | undefined } | undefined) {
    if (options?.signal === undefined) this.#cancels = undefined;
    return this.#cancels === undefined ? undefined : { signal: this.#cancels.signal };
  }

  async #inSession<R>(
    session: Session,
    route: Route,
    sql: string,
    parameters: readonly unknown[],
    limits: { signal: AbortSignal } | undefined,
  ): Promise<QueryResult<R>> {
    await this.#recall(session, route);
    if (this.#transaction === undefined) session.kept = true;
    const result = await session.run<R>(route, sql, parameters, limits);
    if (route.kind === 'write') this.#wrote(result, false);
    return queryResult(route, result);
  }

  async #recall(session: Session, route: Route): Promise<void> {
    if (!this.#stale || this.#last === undefined || !asks(route)) return;
    if (this.#transaction?.readOnly === true) return;
    await session.recall(route, this.#last);
    this.#stale = false;
  }

  #wrote({ changes, lastInsertRowid }: LastWrite, stale: boolean): void {
    this.#last = { changes, lastInsertRowid };
    this.#stale = stale;
  }

  async #beginWriting(): Promise<void> {
    this.#session?.lease.enter();
    const session = this.#session ?? (await this.#hold({ enter: true }));
    await this.#run('begin', session, ['BEGIN IMMEDIATE']);
    this.#transaction = { session, commit: ['COMMIT'], rollback: ['ROLLBACK'] };
  }

  /** A snapshot on a reader; where the connection is held, or the only one, on the writer. */
  async #beginReading(): Promise<void> {
    const session = this.#session ?? (await this.#hold({}, 'read'));
    const [begin, end] =
      session.lease.access === 'read'
        ? [['BEGIN'], []]
        : [['PRAGMA query_only = 1', 'BEGIN'], ['PRAGMA query_only = 0']];
    await this.#run('begin', session, begin);
    this.#transaction = {
      session,
      commit: ['COMMIT', ...end],
      rollback: ['ROLLBACK', ...end],
      readOnly: true,
    };
  }

  /** A migration runs inside a transaction already: one of its own is a savepoint in that. */
  async #beginInMigration(migration: MigrationRun): Promise<void> {
    const { session } = migration;
    await migration.enterTransaction();
    await this.#run('begin', session, ['SAVEPOINT poolite_transaction']);
    const release = 'RELEASE poolite_transaction';
    this.#transaction = {
      session,
      commit: [release],
      rollback: ['ROLLBACK TO poolite_transaction', release],
    };
  }

  async #end(how: 'commit' | 'rollback'): Promise<void> {
    const transaction = this.#transaction;
    if (transaction === undefined) {
      throw new PoolError('POOL_MISUSE', `there is no transaction to ${how}`);
    }
    const { session } = transaction;
    await this.#run(how, session, transaction[how]);
    this.#transaction = undefined;
    // The pool may commit it together with the transactions of others, who go on meanwhile.
    this.#stale = true;
    if (this.#migration !== undefined || session.kept) return;
    this.#session = undefined;
    await session.release();
  }

  /** Runs statements that Kysely's log shows as one. */
  async #run(logged: string, { lease }: Session, statements: readonly string[]): Promise<void> {
    const query = CompiledQuery.raw(logged);
    const run = async () => {
      for (const sql of statements) await lease.run(sql);
    };
    this.#control = { query, run };
    try {
      await this.executeQuery(query);
    } finally {
      this.#control = undefined;
    }
  }
}

function asks({ asksRowid, asksChanges }: Route): boolean {
  return asksRowid || asksChanges;
}
