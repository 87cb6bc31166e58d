import { createPool } from '@poolite/core';
import { PooliteDialect } from '@poolite/kysely';
import { Kysely, sql } from 'kysely';
import { type Migration, Migrator } from 'kysely/migration';

/**
 * A process of its own that migrates the file it is given. Each migration would fail, or be
 * recorded twice, where another process ran it as well, or ran beside it.
 */
const [, , file = '', count = '0', how = 'whole'] = process.argv;

const up =
  (n: number): Migration['up'] =>
  async (db) => {
    await sql.raw(`CREATE TABLE made_${n} (id INTEGER PRIMARY KEY)`).execute(db);
    const { rows } = await sql<{ n: number }>`SELECT count(*) AS n FROM log`.execute(db);
    await new Promise((resolve) => setTimeout(resolve, 5));
    // With the write behind it, this ends the transaction: other processes could come in between.
    if (how === 'in parts') await sql`PRAGMA foreign_keys = OFF`.execute(db);
    await sql`INSERT INTO log VALUES (${rows[0]?.n ?? -1}, ${process.pid})`.execute(db);
    if (how === 'in parts') await sql`PRAGMA foreign_keys = ON`.execute(db);
  };

const db = new Kysely<unknown>({ dialect: new PooliteDialect({ pool: () => createPool(file) }) });
const migrations = Object.fromEntries(
  Array.from({ length: Number(count) }, (_, n) => [
    `m${String(n).padStart(3, '0')}`,
    { up: up(n) },
  ]),
);
const migrator = new Migrator({ db, provider: { getMigrations: async () => migrations } });
process.stdout.write('ready\n');
process.stdin.once('data', async () => {
  const { error, results } = await migrator.migrateToLatest();
  if (error !== undefined) console.error(error);
  process.stdout.write(
    `${JSON.stringify({ ran: results?.length, failed: error !== undefined })}\n`,
  );
  await db.destroy();
  process.stdin.unref();
  process.exitCode = error === undefined ? 0 : 1;
});
