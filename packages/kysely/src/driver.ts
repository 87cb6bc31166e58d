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

  async acquireConnection(): Promise<DatabaseConnection> {
    return new PooliteConnection(this.#pool as Pool);
  }

  beginTransaction(connection: DatabaseConnection, settings: TransactionSettings): Promise<void> {
    return (connection as PooliteConnection).begin(settings);
  }

  commitTransaction(connection: DatabaseConnection): Promise<void> {
    return (connection as PooliteConnection).commit();
  }

  rollbackTransaction(connection: DatabaseConnection): Promise<void> {
    return (connection as PooliteConnection).rollback();
  }

  async savepoint(connection: DatabaseConnection, name: string, compile: Compile): Promise<void> {
    await connection.executeQuery(savepointCommand('savepoint', name, compile));
  }

  async rollbackToSavepoint(
    connection: DatabaseConnection,
    name: string,
    compile: Compile,
  ): Promise<void> {
    await connection.executeQuery(savepointCommand('rollback to', name, compile));
  }

  async releaseSavepoint(
    connection: DatabaseConnection,
    name: string,
    compile: Compile,
  ): Promise<void> {
    await connection.executeQuery(savepointCommand('release', name, compile));
  }

  releaseConnection(connection: DatabaseConnection): Promise<void> {
    return (connection as PooliteConnection).release();
  }

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
