import { PooliteDialect } from '@poolite/kysely';
import Database from 'better-sqlite3';
import { type Dialect, SqliteDialect } from 'kysely';

/** The one line that differs between a pool and a single connection. */
export function dialectOf(name: string, file: string): Dialect {
  switch (name) {
    case 'poolite':
      // All transfers begin at once: on a busy machine the last of them waits for long.
      return new PooliteDialect({ database: file, acquireTimeout: 60_000 });
    case 'sqlite':
      return new SqliteDialect({ database: new Database(file) });
    default:
      throw new Error(`--dialect is poolite or sqlite, not ${name}`);
  }
}
