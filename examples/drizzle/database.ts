import { fileURLToPath } from 'node:url';
import { drizzle } from '@poolite/drizzle';
import { migrate } from '@poolite/drizzle/migrator';
import * as schema from './schema.ts';

const migrationsFolder = fileURLToPath(new URL('drizzle', import.meta.url));

/** The database of a file, brought up to date. */
export async function openDatabase(file: string) {
  const connection = { file, synchronous: 'full' } as const;
  const db = drizzle({ connection, schema, casing: 'snake_case' });
  try {
    await migrate(db, { migrationsFolder });
    return db;
  } catch (error) {
    await db.$client.close();
    throw error;
  }
}

export type Database = Awaited<ReturnType<typeof openDatabase>>;
