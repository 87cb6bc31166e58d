import * as sqlite from 'node:sqlite';
import { BUSY_TIMEOUT, type Contender } from './contender.ts';
import { synchronous } from './synchronous.ts';

export const contenders: readonly Contender[] = [
  {
    name: 'node:sqlite',
    open: (file, options) => {
      const connection = new sqlite.DatabaseSync(file);
      connection.exec(
        `PRAGMA busy_timeout = ${BUSY_TIMEOUT}; PRAGMA journal_mode = WAL; PRAGMA synchronous = ${options.synchronous}`,
      );
      const database = synchronous(connection as unknown as Parameters<typeof synchronous>[0]);
      // Node.js 22.14 has none yet.
      const { backup } = sqlite as { backup?: (from: unknown, to: string) => Promise<unknown> };
      return backup === undefined
        ? database
        : { ...database, backup: (target: string) => backup(connection, target) };
    },
  },
];
