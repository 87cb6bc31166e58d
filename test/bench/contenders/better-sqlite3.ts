import Database from 'better-sqlite3';
import { BUSY_TIMEOUT, type Contender } from './contender.ts';
import { synchronous } from './synchronous.ts';

export function connect(file: string, durability: 'normal' | 'full'): Database.Database {
  const connection = new Database(file, { timeout: BUSY_TIMEOUT });
  connection.pragma('journal_mode = WAL');
  connection.pragma(`synchronous = ${durability}`);
  return connection;
}

export const contenders: readonly Contender[] = [
  {
    name: 'better-sqlite3',
    open: (file, options) => {
      const connection = connect(file, options.synchronous);
      return { ...synchronous(connection), backup: (target) => connection.backup(target) };
    },
  },
];
