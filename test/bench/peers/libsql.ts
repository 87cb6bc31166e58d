import { BUSY_TIMEOUT, type Contender } from '../contenders/contender.ts';
import { synchronous } from '../contenders/synchronous.ts';

type Library = new (
  file: string,
  options: { timeout: number },
) => Parameters<typeof synchronous>[0];

export const contenders: readonly Contender[] = [
  {
    name: 'libsql',
    open: async (file, options) => {
      const name: string = 'libsql';
      const { default: Database } = (await import(name)) as { default: Library };
      const connection = new Database(file, { timeout: BUSY_TIMEOUT });
      connection.exec('PRAGMA journal_mode = WAL');
      connection.exec(`PRAGMA synchronous = ${options.synchronous}`);
      return synchronous(connection);
    },
  },
];
