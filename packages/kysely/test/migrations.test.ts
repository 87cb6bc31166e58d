import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import Database from 'better-sqlite3';
import { type Kysely, sql } from 'kysely';
import { type Migration, Migrator } from 'kysely/migration';
import { describe, expect, onTestFinished, test } from 'vitest';
import { sharedPool } from '../../core/test/support/shared-pool.ts';
import { freshFile, kyselyOn, openPool, outcome, type Tables } from './support/db.ts';

function migrator(db: Kysely<Tables>, migrations: Record<string, Migration>): Migrator {
  return new Migrator({ db, provider: { getMigrations: async () => migrations } });
}

const tables = async (db: Kysely<Tables>) =>
  (await db.introspection.getTables()).map(({ name }) => name);

const make =
  (name: string): Migration['up'] =>
  async (db) => {
    await sql.raw(`CREATE TABLE ${name} (id INTEGER PRIMARY KEY)`).execute(db);
  };

const freshPool = sharedPool();

/** An empty database. */
async function fresh(): Promise<Kysely<Tables>> {
  return kyselyOn(await freshPool());
}

function open(file: string): Kysely<Tables> {
  return kyselyOn(openPool(file));
}

describe('a migration', () => {
  test('that fails is undone whole, and those before it stay', async () => {
    const db = await fresh();
    const { error, results } = await migrator(db, {
      a: { up: make('a') },
      b: {
        async up(own) {
          await make('b')(own);
          await sql`INSERT INTO a VALUES (1)`.execute(own);
          throw new Error('half way');
        },
      },
    }).migrateToLatest();
    expect(String(error)).toBe('Error: half way');
    expect(results?.map(({ status }) => status)).toEqual(['Success', 'Error']);
    expect(await tables(db)).toEqual(['a']);
    expect((await sql`SELECT * FROM a`.execute(db)).rows).toEqual([]);
    const again = await migrator(db, {
      a: { up: make('a') },
      b: { up: make('b') },
    }).migrateToLatest();
    expect(again.results?.map(({ migrationName }) => migrationName)).toEqual(['b']);
  });

  test('may begin transactions, and what it rolls back is undone alone', async () => {
    const db = await fresh();
    const { error } = await migrator(db, {
      a: {
        async up(own) {
          await make('a')(own);
          await own.transaction().execute((trx) => sql`INSERT INTO a VALUES (1)`.execute(trx));
          const undone = own.transaction().execute(async (trx) => {
            await sql`INSERT INTO a VALUES (2)`.execute(trx);
            throw new Error('no');
          });
          expect(await outcome(undone)).toBe('Error: no');
          await sql`BEGIN`.execute(own);
          await sql`INSERT INTO a VALUES (3)`.execute(own);
          await sql`COMMIT`.execute(own);
        },
      },
    }).migrateToLatest();
    expect(error).toBeUndefined();
    expect((await sql`SELECT id FROM a ORDER BY id`.execute(db)).rows).toEqual([
      { id: 1 },
      { id: 3 },
    ]);
  });

  test.each(['succeeds', 'fails'])(
    'that rebuilds a table with foreign keys off and %s loses no child rows',
    async (how) => {
      const db = await fresh();
      await sql`CREATE TABLE parent (id INTEGER PRIMARY KEY)`.execute(db);
      await sql`CREATE TABLE child (parent REFERENCES parent ON DELETE CASCADE)`.execute(db);
      await sql`INSERT INTO parent VALUES (1)`.execute(db);
      await sql`INSERT INTO child VALUES (1)`.execute(db);
      const { error } = await migrator(db, {
        rebuild: {
          async up(own) {
            await sql`PRAGMA foreign_keys = OFF`.execute(own);
            await sql`CREATE TABLE next (id INTEGER PRIMARY KEY, name)`.execute(own);
            await sql`INSERT INTO next (id) SELECT id FROM parent`.execute(own);
            await sql`DROP TABLE parent`.execute(own);
            await sql`ALTER TABLE next RENAME TO parent`.execute(own);
            await sql`PRAGMA foreign_keys = ON`.execute(own);
            if (how === 'fails') throw new Error('at the end');
          },
        },
      }).migrateToLatest();
      expect(error === undefined).toBe(how === 'succeeds');
      const columns = sql<{ name: string }>`SELECT name FROM pragma_table_info('parent')`;
      expect((await columns.execute(db)).rows).toHaveLength(how === 'succeeds' ? 2 : 1);
      expect((await sql`SELECT * FROM child`.execute(db)).rows).toEqual([{ parent: 1 }]);
      expect((await sql`PRAGMA foreign_keys`.execute(db)).rows).toEqual([{ foreign_keys: 1 }]);
    },
  );

  test('goes down as it went up', async () => {
    const db = await fresh();
    const down: Migration['down'] = async (own) => void (await sql`DROP TABLE a`.execute(own));
    const own = migrator(db, { a: { up: make('a'), down } });
    expect((await own.migrateToLatest()).error).toBeUndefined();
    expect((await own.migrateDown()).error).toBeUndefined();
    expect(await tables(db)).toEqual([]);
    expect((await own.migrateUp()).results).toHaveLength(1);
  });

  test('that writes through the outer db is told so at once', async () => {
    const pool = openPool(freshFile(), { acquireTimeout: 0 });
    const db = kyselyOn(pool);
    const { error } = await migrator(db, { a: { up: () => make('a')(db) } }).migrateToLatest();
    expect((error as { code?: string }).code).toBe('POOL_DEADLOCK');
    expect(await tables(db)).toEqual([]);
  });

  test('may last longer than transactionTimeout, for it holds the writer on purpose', async () => {
    const pool = openPool(freshFile(), { transactionTimeout: 50 });
    const db = kyselyOn(pool);
    const { error } = await migrator(db, {
      a: {
        async up(own) {
          await make('a')(own);
          await new Promise((resolve) => setTimeout(resolve, 150));
          await make('b')(own);
        },
      },
    }).migrateToLatest();
    expect(error).toBeUndefined();
    expect(await tables(db)).toEqual(['a', 'b']);
  });
});

describe('migrators exclude each other', () => {
  test.each([
    [
      'in one pool',
      async () => {
        const db = await fresh();
        return [db, db, db];
      },
    ],
    [
      'in several pools on one file',
      () => {
        const file = freshFile();
        return [open(file), open(file), open(file)];
      },
    ],
    [
      'in memory',
      () => {
        const db = kyselyOn(openPool(':memory:'));
        return [db, db];
      },
    ],
  ])('%s', async (_, dbs) => {
    let running = 0;
    const ran: string[] = [];
    const up =
      (name: string): Migration['up'] =>
      async (own) => {
        expect(++running).toBe(1);
        await make(name)(own);
        await new Promise((resolve) => setTimeout(resolve, 5));
        ran.push(name);
        running--;
      };
    const all = { a: { up: up('a') }, b: { up: up('b') }, c: { up: up('c') } };
    const results = await Promise.all(
      (await dbs()).map((db) => migrator(db, all).migrateToLatest()),
    );
    for (const { error } of results) expect(error).toBeUndefined();
    expect(ran).toEqual(['a', 'b', 'c']);
  });

  const script = fileURLToPath(new URL('./support/migrator.ts', import.meta.url));

  async function start(
    file: string,
    how: 'whole' | 'in parts',
  ): Promise<{
    child: ChildProcessWithoutNullStreams;
    line: () => Promise<string>;
  }> {
    const flags = ['--experimental-strip-types', '--disable-warning=ExperimentalWarning'];
    const child = spawn(process.execPath, [...flags, script, file, '12', how]);
    onTestFinished(() => void child.kill('SIGKILL'));
    child.stderr.pipe(process.stderr);
    const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
    const line = async () => String((await lines.next()).value);
    expect(await line()).toBe('ready');
    return { child, line };
  }

  function logged(file: string): Database.Database {
    const db = new Database(file);
    onTestFinished(() => void db.close());
    db.pragma('journal_mode = WAL');
    db.exec('CREATE TABLE log (before INTEGER, pid INTEGER)');
    return db;
  }

  test.each(['whole', 'in parts'] as const)('between processes, %s', async (how) => {
    const file = freshFile();
    const observer = logged(file);
    const children = await Promise.all([start(file, how), start(file, how), start(file, how)]);
    for (const { child } of children) child.stdin.write('go\n');
    const reports = await Promise.all(children.map(async ({ line }) => JSON.parse(await line())));
    expect(reports.map(({ failed }) => failed)).toEqual([false, false, false]);
    expect(reports.map(({ ran }) => ran).sort((a, b) => a - b)).toEqual([0, 0, 12]);
    const rows = observer.prepare('SELECT before, pid FROM log ORDER BY rowid').all() as {
      before: number;
      pid: number;
    }[];
    expect(rows.map(({ before }) => before)).toEqual(Array.from({ length: 12 }, (_, n) => n));
    expect(new Set(rows.map(({ pid }) => pid)).size).toBe(1);
  });

  test('until one of them is killed: another takes over, and finds nothing half done', async () => {
    const file = freshFile();
    const observer = logged(file);
    const [first, second] = await Promise.all([start(file, 'whole'), start(file, 'whole')]);
    first.child.stdin.write('go\n');
    const made = observer
      .prepare("SELECT count(*) FROM sqlite_schema WHERE name LIKE 'made_%'")
      .pluck();
    while ((made.get() as number) < 2) await new Promise((resolve) => setImmediate(resolve));
    second.child.stdin.write('go\n');
    first.child.kill('SIGKILL');
    await once(first.child, 'exit');
    expect(JSON.parse(await second.line())).toMatchObject({ failed: false });
    expect(made.get()).toBe(12);
    expect(observer.prepare('SELECT count(*) FROM log').pluck().get()).toBe(12);
  });
});
