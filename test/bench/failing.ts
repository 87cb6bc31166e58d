import Database from 'better-sqlite3';
import { contenders as sound } from './contenders/better-sqlite3.ts';
import { type Contender, itemOf } from './contenders/contender.ts';

const [better] = sound as [Contender];

/** Contenders that do wrong, for the harness's own test. */
export const contenders: readonly Contender[] = [
  {
    name: 'forgets',
    open: async (file, options) => {
      const db = await better.open(file, options);
      // Every tenth insert is acknowledged and not stored.
      let n = 0;
      return { ...db, insert: (item) => (++n % 10 === 0 ? undefined : db.insert(item)) };
    },
  },
  {
    name: 'refuses',
    open: async (file, options) => {
      const db = await better.open(file, options);
      const other = new Database(file);
      return {
        ...db,
        insert: () => other.prepare('INSERT INTO absent VALUES (?)').run(itemOf(1).name),
        close: async () => {
          other.close();
          await db.close();
        },
      };
    },
  },
];
