import type { Database } from './database.js';
import type { Holders } from './holders.js';
import type { OneShot } from './one-shot.js';
import type { ReadSession } from './reading/session.js';
import { RowStream } from './row-stream.js';
import { openedHere } from './sessions.js';
import type { Params } from './statements/params.js';
import type { IterateOptions } from './surface.js';
import { Method } from './threads/protocol.js';
import type { Chunk, RemoteCursor } from './threads/remote.js';

/** A stream that belongs to nobody's connection. */
export function poolStream<Row>(
  database: Database,
  oneShot: OneShot,
  holders: Holders,
  sql: string,
  params: Params | undefined,
  options: IterateOptions,
): RowStream<Row> {
  const { statement, bound } = database.bound(sql, params);
  const method = options.rows === 'array' ? Method.values : Method.all;
  const chunkSize = database.chunkSize(options);
  const reads = options.access === undefined ? statement.isRead : options.access === 'read';
  const { signal, timeout } = options;
  const writes = !reads || database.readers === undefined;
  const opener = openedHere();
  let session: ReadSession | undefined;

  /** What writes runs to its end first, as SQLite itself does before the first row of RETURNING. */
  const whole = (): RemoteCursor => ({
    fetch: async (): Promise<Chunk> => {
      // Without readers reads come here too, and are none the less reads.
      const access = database.readers === undefined ? options.access : 'write';
      const rows = await oneShot.rows(method, sql, bound, { signal, timeout, access });
      return { rows: rows as unknown[], done: true };
    },
    close: () => {},
  });

  const open = async (): Promise<RemoteCursor> => {
    if (writes) return whole();
    session = await holders.sessions.stream(options, opener);
    const cursor = session.cursor(statement, method, bound, chunkSize);
    let first = true;
    return {
      fetch: async () => {
        const isFirst = first;
        first = false;
        try {
          return await cursor.fetch();
        } catch (error) {
          const code = (error as { code?: string }).code ?? '';
          const wasWrite = isFirst && code.startsWith('SQLITE_READONLY');
          if (!wasWrite || database.options.connection.readonly) throw error;
          return whole().fetch();
        }
      },
      close: () => cursor.close(),
    };
  };

  const source = { open, limits: writes, release: () => session?.leave() };
  return new RowStream<Row>(source, database, sql, options);
}
