import { setTimeout as delay } from 'node:timers/promises';
import { type Lease, type Pool, PoolError } from '@poolite/core';
import { DrizzleError, type Logger } from 'drizzle-orm';
import { type MigrationConfig, type MigrationMeta, readMigrationFiles } from 'drizzle-orm/migrator';
import type { PooliteDatabase } from './database.js';
import { foreignKeyViolations, newViolations } from './foreign-keys.js';
import { queryError } from './query.js';

/** What `migrate` takes: what Drizzle's own migrators take, and how long it may wait. */
export interface PooliteMigrationConfig extends MigrationConfig {
  /**
   * How long to wait for the file while another process writes to it, or migrates it, in ms;
   * 0: for ever. Default: 60000.
   */
  lockTimeout?: number;
}

/**
 * Brings the database up to date with a folder of migrations, as drizzle-kit generates them. All
 * that are missing are applied in one transaction: all of them, or none. Many processes may call
 * it at once; one of them migrates, and the others wait for it.
 *
 * Foreign keys are off meanwhile, so that a migration can rebuild a table without losing the rows
 * that refer to it, and are checked before the commit.
 *
 * @throws DrizzleQueryError for a statement that fails, with SQLite's error as its cause;
 * DrizzleError where rows would be left that refer to nothing.
 */
export async function migrate<TSchema extends Record<string, unknown>>(
  db: PooliteDatabase<TSchema>,
  config: PooliteMigrationConfig,
): Promise<void> {
  const { pool, logger } = sessionOf(db);
  const table = config.migrationsTable ?? '__drizzle_migrations';
  const migrations = readMigrationFiles(config);
  for (let attempt = 1; ; attempt++) {
    if (await isUpToDate(pool, table, migrations)) return;
    try {
      return await migrateOnce(pool, table, logger, migrations, config);
    } catch (error) {
      // Another machine was first, most likely with the same migrations: what it did is here now.
      const wasBeaten = PoolError.is(error) && error.code === 'POOL_CONFLICT';
      if (!wasBeaten || attempt === MOST_ATTEMPTS) throw error;
    }
  }
}

async function migrateOnce(
  pool: Pool,
  table: string,
  logger: Logger | undefined,
  migrations: readonly MigrationMeta[],
  config: PooliteMigrationConfig,
): Promise<void> {
  const lease = await pool.lease('write', { timeout: 0, acquireTimeout: 0 });
  try {
    const run = new MigrationRun(lease, quoted(table), logger);
    await run.migrate(migrations, config.lockTimeout ?? 60_000);
  } finally {
    await lease.release();
  }
}

/** So often it begins, at most, where other machines commit first. */
const MOST_ATTEMPTS = 10;

/** What every database of Drizzle's has; its declarations leave it out. */
function sessionOf(db: unknown): { pool: Pool; logger: Logger | undefined } {
  const { session } = (db ?? {}) as { session?: { pool?: Pool; logger?: Logger } };
  const { pool, logger } = session ?? {};
  if (typeof pool?.lease !== 'function') {
    const message = 'migrate needs a database that drizzle() of @poolite/drizzle has made';
    throw new PoolError('POOL_MISUSE', message);
  }
  return { pool, logger };
}

function quoted(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

const LAST = (table: string) =>
  `SELECT created_at AS at FROM ${table} ORDER BY created_at DESC LIMIT 1`;

function missing(
  migrations: readonly MigrationMeta[],
  last: { at: unknown } | undefined,
): MigrationMeta[] {
  return migrations.filter(({ folderMillis }) => !last || Number(last.at) < folderMillis);
}

/** Most starts have nothing to migrate: they need no lock. */
async function isUpToDate(
  pool: Pool,
  table: string,
  migrations: readonly MigrationMeta[],
): Promise<boolean> {
  const sql = `SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = ? COLLATE NOCASE`;
  if ((await pool.get(sql, [table])) === undefined) return false;
  return missing(migrations, await pool.get<{ at: unknown }>(LAST(quoted(table)))).length === 0;
}

/** One run of the migrator, with the writer for itself. */
class MigrationRun {
  readonly #lease: Lease;
  readonly #table: string;
  readonly #logger: Logger | undefined;

  constructor(lease: Lease, table: string, logger: Logger | undefined) {
    this.#lease = lease;
    this.#table = table;
    this.#logger = logger;
  }

  async migrate(migrations: readonly MigrationMeta[], lockTimeout: number): Promise<void> {
    const lease = this.#lease;
    const setting = await lease.get<{ foreign_keys: unknown }>('PRAGMA foreign_keys');
    const enforced = Number(setting?.foreign_keys) === 1;
    // Inside a transaction it would do nothing: https://sqlite.org/pragma.html#pragma_foreign_keys
    if (enforced) await lease.run('PRAGMA foreign_keys = OFF');
    try {
      await this.#begin(lockTimeout);
      try {
        await this.#apply(migrations, enforced);
        await lease.run('COMMIT');
      } catch (error) {
        await this.#rollback(error);
        throw error;
      }
    } finally {
      if (enforced) await this.#enforce();
    }
  }

  /** Another process may migrate the same file, for longer than the pool waits for a lock. */
  async #begin(lockTimeout: number): Promise<void> {
    const since = performance.now();
    for (;;) {
      await this.#lease.run('BEGIN IMMEDIATE');
      try {
        // BEGIN travels with the statement behind it.
        await this.#lease.get('SELECT 1');
        return;
      } catch (error) {
        const { code } = error as { code?: unknown };
        await this.#rollback(error);
        const late = lockTimeout > 0 && performance.now() - since >= lockTimeout;
        if (late || (code !== 'SQLITE_BUSY' && code !== 'SQLITE_BUSY_RECOVERY')) throw error;
      }
      await delay(20);
    }
  }

  /** The error that led here is what the caller must hear. */
  async #rollback(cause: unknown): Promise<void> {
    try {
      await this.#lease.run('ROLLBACK');
    } catch {
      throw cause;
    }
  }

  async #apply(migrations: readonly MigrationMeta[], enforced: boolean): Promise<void> {
    const lease = this.#lease;
    const table = this.#table;
    await lease.run(
      `CREATE TABLE IF NOT EXISTS ${table} ` +
        // Drizzle's own migrators say SERIAL, which SQLite takes for any type, and fills with NULL.
        '(id INTEGER PRIMARY KEY, hash text NOT NULL, created_at numeric)',
    );
    // Read where nobody else can write any more.
    const pending = missing(migrations, await lease.get<{ at: unknown }>(LAST(table)));
    if (pending.length === 0) return;
    const before = enforced ? await foreignKeyViolations(lease) : undefined;
    for (const { sql, hash, folderMillis } of pending) {
      for (const script of sql) await this.#exec(script);
      const insert = `INSERT INTO ${table} (hash, created_at) VALUES (?, ?)`;
      await lease.run(insert, [hash, folderMillis]);
    }
    if (before === undefined) return;
    const found = newViolations(before, await foreignKeyViolations(lease));
    if (found.length === 0) return;
    throw new DrizzleError({
      message: `The migrations would leave ${found.join(', ')}: nothing was migrated`,
    });
  }

  /** A part between two breakpoints is mostly one statement; it may be several, or none. */
  async #exec(script: string): Promise<void> {
    this.#logger?.logQuery(script, []);
    try {
      await this.#lease.exec(script);
    } catch (cause) {
      throw queryError(script, [], cause);
    }
  }

  async #enforce(): Promise<void> {
    try {
      await this.#lease.run('PRAGMA foreign_keys = ON');
    } catch (error) {
      // With the pool or its thread the connection is gone, and so is what was set on it.
      const gone = PoolError.is(error) && error.code !== 'POOL_MISUSE';
      if (!gone) throw error;
    }
  }
}
