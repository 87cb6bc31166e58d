import { drizzle } from '@poolite/drizzle';
import { migrate } from '@poolite/drizzle/migrator';

/** A process of its own that migrates the file it is given, once it is told to begin. */
const [, , file = '', migrationsFolder = ''] = process.argv;
const db = drizzle(file);
await db.$client.ready();
process.stdout.write('ready\n');
process.stdin.once('data', async () => {
  try {
    await migrate(db, { migrationsFolder });
    process.stdout.write('migrated\n');
  } catch (error) {
    console.error(error);
    process.exitCode = 1;
  }
  await db.$client.close();
  process.stdin.unref();
});
