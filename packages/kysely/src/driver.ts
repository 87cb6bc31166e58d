import type { Pool } from '@poolite/core';
import {
  createQueryId,
  type DatabaseConnection,
  type Driver,
  IdentifierNode,
  type QueryCompiler,
  RawNode,
  type TransactionSettings,
} from 'kysely';
import { PooliteConnection } from './connection.js';
import { openingConnection } from './opening-connection.js';
import type { PoolSource } from './pool-source.js';

type Compile = QueryCompiler['compileQuery'];

/** Hands out connections that take from the pool only what their statements need. */
export class PooliteDriver implements Driver {
  readonly #source: PoolSource;
  #pool: Pool | undefined;

  constructor(source: PoolSource) {
    this.#source = source;
  }

  /**
   * Opens the pool, where the dialect was not given one, and runs `onCreateConnection` on a lease of it.
   *
   * @throws what opening throws; the pool is closed again where `onCreateConnection` throws.
   */
  async init(options?: { readonly signal?: AbortSignal | undefined }): Promise<void> {
    const pool = await this.#source.open();
    const { onCreateConnection } = this.#source;
    if (onCreateConnection !== undefined) {
      const connection = new PooliteConnection(pool);
      try {
        await onCreateConnection(openingConnection(connection), options);
      } catch (error) {
        await connection.release();
        await this.#source.close(pool);
        throw error;
      }
      await connection.release();
    }
    this.#pool = pool;
  }

  /** One that holds nothing yet: its first statement decides what it takes from the pool. */
  async acquireConnection(): Promise<DatabaseConnection> {
    return new PooliteConnection(this.#pool as Pool);
  }

  /**
   * Takes the writer, or a reader's snapshot where the access mode is 'read only'.
   *
   * @throws PoolError POOL_MISUSE for the isolation level 'read uncommitted', which a pool does not have.
   */
  beginTransaction(connection: DatabaseConnection, settings: TransactionSettings): Promise<void> {
    return (connection as PooliteConnection).begin(settings);
  }

  /** Resolves once the transaction is stored; its COMMIT may be shared with those of others. */
  commitTransaction(connection: DatabaseConnection): Promise<void> {
    return (connection as PooliteConnection).commit();
  }

  /** Undoes the transaction, and lets the next one have the writer. */
  rollbackTransaction(connection: DatabaseConnection): Promise<void> {
    return (connection as PooliteConnection).rollback();
  }

  /** Begins a part of the transaction that can be undone by itself. https://sqlite.org/lang_savepoint.html */
  async savepoint(connection: DatabaseConnection, name: string, compile: Compile): Promise<void> {
    await connection.executeQuery(savepointCommand('savepoint', name, compile));
  }

  /** Undoes all since the savepoint, which stays. */
  async rollbackToSavepoint(
    connection: DatabaseConnection,
    name: string,
    compile: Compile,
  ): Promise<void> {
    await connection.executeQuery(savepointCommand('rollback to', name, compile));
  }

  /** Forgets the savepoint, and keeps what was done since. */
  async releaseSavepoint(
    connection: DatabaseConnection,
    name: string,
    compile: Compile,
  ): Promise<void> {
    await connection.executeQuery(savepointCommand('release', name, compile));
  }

  /** Gives back what the connection holds; an open transaction is rolled back. */
  releaseConnection(connection: DatabaseConnection): Promise<void> {
    return (connection as PooliteConnection).release();
  }

  /** Closes the pool that the dialect, or the function in its option `pool`, made; one that was given stays open. */
  async destroy(): Promise<void> {
    const pool = this.#pool;
    this.#pool = undefined;
    if (pool !== undefined) await this.#source.close(pool);
  }
}

function savepointCommand(command: string, name: string, compile: Compile) {
  const parts = [RawNode.createWithSql(`${command} `), IdentifierNode.create(name)];
  return compile(RawNode.createWithChildren(parts), createQueryId());
}
