import { PoolError } from '@poolite/core';
import type { DatabaseConnection } from 'kysely';
import type { PooliteConnection } from './connection.js';
import { routeOf } from './route.js';

/** Settings and actions that concern the file, whatever connection runs them. */
const OF_THE_FILE: ReadonlySet<string> = new Set([
  'application_id',
  'auto_vacuum',
  'incremental_vacuum',
  'journal_mode',
  'optimize',
  'page_size',
  'user_version',
  'wal_checkpoint',
]);

/**
 * What `onCreateConnection` gets. It is called once, whereas the pool has many connections, on
 * threads of their own: what it would set on one connection only is refused.
 */
export function openingConnection(connection: PooliteConnection): DatabaseConnection {
  const check = (sql: string) => {
    const { needsSession, kind, pragma } = routeOf(sql);
    if (!needsSession || OF_THE_FILE.has(pragma ?? '')) return;
    if (kind === 'begin' || kind === 'commit' || kind === 'rollback') return;
    throw new PoolError(
      'POOL_MISUSE',
      `onCreateConnection cannot set up one connection, since the pool has several: use the ` +
        `options 'pragmas', 'foreignKeys' or 'setup' of the pool. SQL: ${sql.slice(0, 200)}`,
    );
  };
  return {
    executeQuery: async (query) => {
      check(query.sql);
      return connection.executeQuery(query);
    },
    streamQuery: (query, chunkSize) => {
      check(query.sql);
      return connection.streamQuery(query, chunkSize);
    },
  };
}
