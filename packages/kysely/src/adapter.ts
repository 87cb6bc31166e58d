import { type Kysely, SqliteAdapter } from 'kysely';
import { PooliteConnection } from './connection.js';
import { lockMigrations } from './migration-lock.js';

/** What Kysely must know of the pool: all that it knows of SQLite, but for connections and locks. */
export class PooliteAdapter extends SqliteAdapter {
  /** A pool has several: transactions and single queries may run at once. */
  override get supportsMultipleConnections(): boolean {
    return true;
  }

  /** Kysely calls it synchronously: the code of migrations runs in the context that this enters. */
  override acquireMigrationLock(db: Kysely<unknown>): Promise<void> {
    return db
      .getExecutor()
      .provideConnection((connection) => own(connection).startMigrating(lockMigrations));
  }

  override releaseMigrationLock(db: Kysely<unknown>): Promise<void> {
    return db.getExecutor().provideConnection((connection) => own(connection).endMigrating());
  }
}

function own(connection: unknown): PooliteConnection {
  if (connection instanceof PooliteConnection) return connection;
  throw new TypeError('PooliteAdapter needs the connections of a PooliteDialect');
}
