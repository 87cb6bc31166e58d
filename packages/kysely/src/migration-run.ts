import type { StatementResult } from '@poolite/core';
import type { CompiledQuery } from 'kysely';
import type { Route } from './route.js';
import type { Session } from './session.js';

type Node = Record<string, unknown> & { kind?: unknown };

/**
 * Kysely runs migrations outside transactions where a dialect has no transactional DDL, and hands
 * them a plain `db`. So it is with SqliteDialect, and here too, lest a migration that begins a
 * transaction itself be refused. But underneath each migration is one transaction, together with
 * the row that records it. It ends early where a statement cannot run in one.
 */
export class MigrationRun {
  readonly session: Session;
  readonly #unlock: () => Promise<void>;
  /** The table of the records, which is what the migrator reads first. */
  #table: string | undefined;
  #first = true;
  #open = false;
  #changed = false;
  /** The migration began a transaction by itself, in SQL. */
  #own = false;
  /** A setting of foreign keys that waits for the end: inside a transaction it would do nothing. */
  #keys: CompiledQuery | undefined;

  constructor(session: Session, unlock: () => Promise<void>) {
    this.session = session;
    this.#unlock = unlock;
  }

  async run<R>(route: Route, query: CompiledQuery): Promise<StatementResult<R>> {
    if (this.#first) {
      this.#first = false;
      this.#table = tableOf(query.query as unknown as Node, 'SelectQueryNode');
    }
    if (this.#table === undefined) return this.#send(route, query);
    const { kind } = route;
    if (kind === 'begin') return this.#begun(route, query);
    if (kind === 'commit' || kind === 'rollback') {
      this.#own = false;
      return this.#send(route, query);
    }
    if (kind === 'alone' && !this.#own && !route.tellsPragma) return this.#alone(route, query);
    const records = this.#records(query.query as unknown as Node);
    if (!records) await this.#setKeys();
    await this.#begin();
    const result = await this.#send<R>(route, query);
    if (kind !== 'read') this.#changed = true;
    if (records && this.#open) {
      await this.#commit();
      await this.#setKeys();
    }
    return result;
  }

  /** A transaction of the migration's own, through Kysely: a savepoint. */
  async enterTransaction(): Promise<void> {
    await this.#setKeys();
    await this.#begin();
    this.#changed = true;
  }

  /** What was not recorded is undone. */
  async end(): Promise<void> {
    try {
      if (this.#open) await this.session.lease.run('ROLLBACK');
      this.#open = false;
      await this.#setKeys();
    } finally {
      await this.#unlock();
    }
  }

  async #begin(): Promise<void> {
    if (this.#open || this.#own) return;
    await this.session.lease.run('BEGIN IMMEDIATE');
    this.#open = true;
    this.#changed = false;
  }

  async #commit(): Promise<void> {
    if (!this.#open) return;
    await this.session.lease.run('COMMIT');
    this.#open = false;
  }

  async #begun<R>(route: Route, query: CompiledQuery): Promise<StatementResult<R>> {
    await this.#commit();
    await this.#setKeys();
    this.#own = true;
    return this.#send<R>(route, query);
  }

  async #alone<R>(route: Route, query: CompiledQuery): Promise<StatementResult<R>> {
    if (route.setting === 'foreign_keys' && this.#open && this.#changed) {
      this.#keys = query;
      return { rows: [], changes: 0, lastInsertRowid: 0 };
    }
    await this.#commit();
    await this.#setKeys();
    return this.#send(route, query);
  }

  async #setKeys(): Promise<void> {
    const query = this.#keys;
    if (query === undefined) return;
    this.#keys = undefined;
    await this.#commit();
    await this.session.lease.query(query.sql);
  }

  #send<R>(route: Route, { sql, parameters }: CompiledQuery): Promise<StatementResult<R>> {
    return this.session.run<R>(route, sql, parameters);
  }

  #records(node: Node): boolean {
    const table = tableOf(node, 'InsertQueryNode') ?? tableOf(node, 'DeleteQueryNode');
    return table !== undefined && table === this.#table;
  }
}

/** The name of the only table that a query of such a kind reads from, or writes to. */
function tableOf(node: Node, kind: string): string | undefined {
  if (node.kind !== kind) return undefined;
  const source = node.into ?? ((node.from as Node | undefined)?.froms as Node[] | undefined)?.[0];
  const table = (source as Node | undefined)?.table as Node | undefined;
  const name = (table?.identifier as Node | undefined)?.name;
  return typeof name === 'string' ? name : undefined;
}
