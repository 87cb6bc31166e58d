import { type Kysely, sql } from 'kysely';
import { type Migration, Migrator } from 'kysely/migration';

const migrations: Record<string, Migration> = {
  '2026-01-01-accounts': {
    async up(db) {
      await db.schema
        .createTable('account')
        .addColumn('id', 'integer', (column) => column.primaryKey())
        .addColumn('owner', 'text', (column) => column.notNull().unique())
        .addColumn('cents', 'integer', (column) => column.notNull().check(sql`cents >= 0`))
        .execute();
    },
  },
  '2026-01-02-transfers': {
    async up(db) {
      const account = 'account.id';
      await db.schema
        .createTable('transfer')
        .addColumn('id', 'integer', (column) => column.primaryKey())
        .addColumn('sender', 'integer', (column) => column.notNull().references(account))
        .addColumn('receiver', 'integer', (column) => column.notNull().references(account))
        .addColumn('cents', 'integer', (column) => column.notNull())
        .addColumn('at', 'text', (column) => column.notNull().defaultTo(sql`CURRENT_TIMESTAMP`))
        .execute();
      await db.schema
        .createIndex('transfer_by_sender')
        .on('transfer')
        .columns(['sender', 'cents'])
        .execute();
    },
  },
};

/** Brings the database up to date; the names of the migrations that ran. */
export async function migrate<Tables>(db: Kysely<Tables>): Promise<string[]> {
  const migrator = new Migrator({ db, provider: { getMigrations: async () => migrations } });
  const { error, results = [] } = await migrator.migrateToLatest();
  if (error !== undefined) throw error;
  return results.map(({ migrationName }) => migrationName);
}
