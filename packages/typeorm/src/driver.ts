import { mkdir } from 'node:fs/promises';
import { dirname } from 'node:path';
import { createPool, type Pool, type PoolOptions } from '@poolite/core';
import type { DataSource, QueryRunner } from 'typeorm';
import { BetterSqlite3Driver } from 'typeorm/driver/better-sqlite3/BetterSqlite3Driver.js';
import type { ReplicationMode } from 'typeorm/driver/types/ReplicationMode.js';
import { notOpen, refuse } from './errors.js';
import { checkOptions, isMemory, isPool, poolOptions } from './options.js';
import { PooliteQueryRunner } from './query-runner.js';
import { type Attachment, type Preparation, prepared } from './setup.js';

/** TypeORM's driver for better-sqlite3, with a pool in place of its one connection. */
export class PooliteDriver extends BetterSqlite3Driver {
  readonly #config: PoolOptions | Pool;
  #pool: Pool | undefined;
  #preparation: Preparation | undefined;

  /** Use `poolite()` or `PooliteDataSource`. */
  constructor(dataSource: DataSource, config: PoolOptions | Pool) {
    super(dataSource);
    this.#config = config;
  }

  /** The pool. Throws POOL_CLOSED while the data source is not initialized. */
  get pool(): Pool {
    if (this.#pool === undefined) throw notOpen();
    return this.#pool;
  }

  /** Whether the data source only reads. */
  get isReadonly(): boolean {
    return this.options.readonly === true;
  }

  /** Whether reads belong on the writer: `replication: { defaultMode: 'master' }`. */
  get readsOnWriter(): boolean {
    return this.dataSource.defaultReplicationModeForReads() === 'master';
  }

  /** Opens the pool; rejects with what stands in the way. */
  override async connect(): Promise<void> {
    checkOptions(this.options, this.#config);
    if (isPool(this.#config)) {
      await this.#config.ready();
      this.#use(this.#config);
      return;
    }
    const { database } = this.options;
    if (!isMemory(database)) await mkdir(dirname(database), { recursive: true });
    this.#preparation = await prepared(this.options);
    await this.#open([]);
  }

  /** Attaches the databases that entities name: now that the entities are known. */
  override async afterConnect(): Promise<void> {
    const attachments = Object.values(this.attachedDatabases).map(
      ({ attachHandle, attachFilepathAbsolute }): Attachment => [
        attachHandle,
        attachFilepathAbsolute,
      ],
    );
    if (attachments.length === 0) return;
    if (isPool(this.#config)) {
      refuse(
        "entities name a 'database' of their own, which every connection must attach: give " +
          'poolite() options in place of a pool, or attach it in the module that `setup` names',
      );
    }
    for (const [, path] of attachments) await mkdir(dirname(path), { recursive: true });
    await this.#pool?.close();
    await this.#open(attachments);
  }

  /** Closes the pool, where it is the driver's own: after the work that is under way. */
  override async disconnect(): Promise<void> {
    const pool = this.#pool;
    this.#use(undefined);
    if (!isPool(this.#config)) await pool?.close();
  }

  override createQueryRunner(mode: ReplicationMode): QueryRunner {
    return new PooliteQueryRunner(this, mode);
  }

  /** There is nothing to load here: the pool's threads load better-sqlite3. */
  protected override loadDependencies(): void {}

  async #open(attachments: readonly Attachment[]): Promise<void> {
    const { database } = this.options;
    const options = poolOptions(this.options, this.#config as PoolOptions);
    const setup = this.#preparation?.(options.setup, attachments);
    const pool = createPool(database, setup === undefined ? options : { ...options, setup });
    try {
      await pool.ready();
    } catch (error) {
      await pool.close({ force: true });
      throw error;
    }
    this.#use(pool);
  }

  /** TypeORM keeps its connection in a property that others may read. */
  #use(pool: Pool | undefined): void {
    this.#pool = pool;
    this.databaseConnection = pool;
  }
}
