import { count, migrate, open, sell } from './database.ts';
import { openStore } from './store.ts';

/** One machine: sells until nothing is left, and says what it did, and what it sees in the end. */
const [folder = '.', name = '', by = ''] = process.argv.slice(2);
const { pool, db, close } = open(`${folder}/${by}.db`, openStore(folder, name));
await migrate(db);

let sales = 0;
while (await sell(db, 'book', by)) sales++;

await pool.refresh();
const { sold, left } = await count(db);
const { committed = 0, applied = 0, conflicts = 0 } = pool.stats().replica ?? {};
await close();
process.send?.({ by, sales, sold: [...sold], left, committed, applied, conflicts });
