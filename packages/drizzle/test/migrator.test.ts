import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { drizzle, migrate as migrateFromIndex } from '@poolite/drizzle';
import { migrate } from '@poolite/drizzle/migrator';
import Database from 'better-sqlite3';
import { DrizzleQueryError } from 'drizzle-orm';
import { drizzle as drizzleStock } from 'drizzle-orm/better-sqlite3';
import { migrate as migrateStock } from 'drizzle-orm/better-sqlite3/migrator';
import { describe, expect, onTestFinished, test } from 'vitest';
import { sharedPool } from '../../core/test/support/shared-pool.ts';
import { freshFile, freshFolder, openBank, openPool, outcome } from './support/db.ts';
import { FAMILY, migrationsFolder, REBUILD } from './support/migrations.ts';

const TWO = [['CREATE TABLE a (n)'], ['CREATE TABLE b (n)', 'INSERT INTO b VALUES (1)']];
const RECORDS = 'SELECT hash, created_at FROM __drizzle_migrations ORDER BY created_at';

const freshPool = sharedPool();

/** An empty database. */
async function fresh() {
  const pool = await freshPool();
  return { pool, db: drizzle(pool), file: pool.file };
}

function open(file = freshFile(), options = {}) {
  const pool = openPool(file, options);
  return { pool, db: drizzle(pool), file };
}

function stockOn(file: string) {
  const database = new Database(file);
  onTestFinished(() => void database.close());
  return drizzleStock(database);
}

async function tables(db: ReturnType<typeof drizzle>): Promise<unknown[]> {
  const sql = "SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name";
  return (await db.values(sql)).flat();
}

const enforced = (db: ReturnType<typeof drizzle>) =>
  db.$client.query('PRAGMA foreign_keys', [], { access: 'write' }).then(({ rows }) => rows[0]);
const ON = { foreign_keys: 1 };

test('applies what is missing, once, and records it as the stock migrator does', async () => {
  const { db, file } = await fresh();
  const folder = migrationsFolder(TWO.slice(0, 1));
  await migrate(db, { migrationsFolder: folder });
  expect(await tables(db)).toEqual(['__drizzle_migrations', 'a']);
  migrationsFolder(TWO, folder);
  await migrate(db, { migrationsFolder: folder });
  await migrateFromIndex(db, { migrationsFolder: folder });
  expect(await tables(db)).toEqual(['__drizzle_migrations', 'a', 'b']);
  expect(await db.values('SELECT * FROM b')).toEqual([[1]]);

  const other = stockOn(freshFile());
  migrateStock(other, { migrationsFolder: folder });
  expect(await db.all(RECORDS)).toEqual(other.all(RECORDS));
  migrateStock(stockOn(file), { migrationsFolder: folder });
  expect(await db.values(RECORDS)).toHaveLength(2);
});

test('goes on where the stock migrator stopped', async () => {
  const { db, file } = await fresh();
  const folder = migrationsFolder(TWO.slice(0, 1));
  migrateStock(stockOn(file), { migrationsFolder: folder });
  await migrate(db, { migrationsFolder: migrationsFolder(TWO, folder) });
  expect(await tables(db)).toEqual(['__drizzle_migrations', 'a', 'b']);
});

test('keeps its records in another table where it is told to', async () => {
  const { db } = await fresh();
  const config = { migrationsFolder: migrationsFolder(TWO), migrationsTable: 'my "own"' };
  await migrate(db, config);
  await migrate(db, config);
  expect(await tables(db)).toEqual(['a', 'b', 'my "own"']);
});

describe('a migration that rebuilds a table', () => {
  const family = [FAMILY, REBUILD];
  const rows = ["INSERT INTO parent VALUES (1, 'Ada')", 'INSERT INTO child VALUES (1, 1), (2, 1)'];

  test('keeps the rows that refer to it', async () => {
    const { db, pool } = await fresh();
    const folder = migrationsFolder(family.slice(0, 1));
    await migrate(db, { migrationsFolder: folder });
    for (const row of rows) await pool.run(row);
    await migrate(db, { migrationsFolder: migrationsFolder(family, folder) });
    expect(await db.values('SELECT * FROM child')).toEqual([
      [1, 1],
      [2, 1],
    ]);
    expect(await enforced(db)).toEqual(ON);
    expect(await outcome(db.run('INSERT INTO child VALUES (3, 9)'))).toBe(
      'SQLITE_CONSTRAINT_FOREIGNKEY',
    );
    await db.run('DELETE FROM parent');
    expect(await db.values('SELECT * FROM child')).toEqual([]);
  });

  test('loses them with the stock migrator', () => {
    const db = stockOn(freshFile());
    const folder = migrationsFolder(family.slice(0, 1));
    migrateStock(db, { migrationsFolder: folder });
    for (const row of rows) db.run(row);
    migrateStock(db, { migrationsFolder: migrationsFolder(family, folder) });
    expect(db.values('SELECT * FROM parent')).toHaveLength(1);
    expect(db.values('SELECT * FROM child')).toEqual([]);
  });
});

describe('rows that refer to nothing', () => {
  const orphan = 'INSERT INTO child VALUES (7, 99)';

  test('refuse the migration that would leave them', async () => {
    const { db } = await fresh();
    const folder = migrationsFolder([FAMILY, [orphan, 'INSERT INTO child VALUES (8, 98)']]);
    await expect(migrate(db, { migrationsFolder: folder })).rejects.toThrow(
      'would leave 2 rows of "child" without what they refer to in "parent": nothing was migrated',
    );
    expect(await tables(db)).toEqual([]);
    expect(await enforced(db)).toEqual(ON);
  });

  test('are no fault of a migration that found them', async () => {
    const { db, pool } = await fresh();
    await pool.exec(`PRAGMA foreign_keys = OFF; ${FAMILY.join(';')}; ${orphan};`);
    await pool.exec('PRAGMA foreign_keys = ON');
    await migrate(db, { migrationsFolder: migrationsFolder([REBUILD]) });
    expect(await db.values('SELECT * FROM child')).toEqual([[7, 99]]);
  });

  test('are not looked for where the pool enforces no foreign keys', async () => {
    const { db } = open(freshFile(), { foreignKeys: false });
    await migrate(db, { migrationsFolder: migrationsFolder([FAMILY, [orphan]]) });
    expect(await db.values('SELECT * FROM child')).toEqual([[7, 99]]);
    expect(await enforced(db)).toEqual({ foreign_keys: 0 });
  });
});

describe('a migration that fails', () => {
  test('leaves nothing behind, not even of those before it', async () => {
    const { db } = await fresh();
    const folder = migrationsFolder([...TWO, ['INSERT INTO a VALUES (1)', 'SELECT missing']]);
    const error = await migrate(db, { migrationsFolder: folder }).catch((thrown) => thrown);
    expect(error).toBeInstanceOf(DrizzleQueryError);
    expect(error.query).toContain('SELECT missing');
    expect(error.cause).toBeInstanceOf(Database.SqliteError);
    expect(await tables(db)).toEqual([]);
    expect(await enforced(db)).toEqual(ON);
    await migrate(db, { migrationsFolder: migrationsFolder(TWO, folder) });
    expect(await tables(db)).toEqual(['__drizzle_migrations', 'a', 'b']);
  });

  test.each(['COMMIT', 'BEGIN', 'ROLLBACK', 'VACUUM'])('%s cannot be in one', async (statement) => {
    const { db } = await fresh();
    const folder = migrationsFolder([['CREATE TABLE a (n)', statement]]);
    expect(await outcome(migrate(db, { migrationsFolder: folder }))).not.toBe('resolved');
    expect(await tables(db)).toEqual([]);
    expect(await enforced(db)).toEqual(ON);
  });
});

test('a part may hold several statements, or none', async () => {
  const { db } = await fresh();
  const folder = migrationsFolder([
    ['-- Custom SQL migration file, put your code below! --'],
    ['CREATE TABLE a (n); INSERT INTO a VALUES (1);\nINSERT INTO a VALUES (2);', '\n'],
  ]);
  await migrate(db, { migrationsFolder: folder });
  expect(await db.values('SELECT * FROM a')).toEqual([[1], [2]]);
});

test('a folder that is none is told of', async () => {
  const { db } = await fresh();
  const nowhere = join(freshFolder(), 'nowhere');
  await expect(migrate(db, { migrationsFolder: nowhere })).rejects.toThrow('_journal.json');
  mkdirSync(join(nowhere, 'meta'), { recursive: true });
  const entries = [{ idx: 0, when: 1, tag: 'lost', breakpoints: true }];
  writeFileSync(join(nowhere, 'meta', '_journal.json'), JSON.stringify({ entries }));
  await expect(migrate(db, { migrationsFolder: nowhere })).rejects.toThrow('lost.sql');
  expect(await tables(db)).toEqual([]);
});

test.each([{}, undefined, drizzleStock(new Database(':memory:')), drizzle.mock()])(
  'a database that is none of this package is refused',
  async (db) => {
    const folder = migrationsFolder(TWO);
    expect(await outcome(migrate(db as never, { migrationsFolder: folder }))).toBe('POOL_MISUSE');
  },
);

test('inside a transaction it would wait for itself, and is told so', async () => {
  const { db } = await openBank();
  const folder = migrationsFolder(TWO);
  await db.transaction(async () => {
    expect(await outcome(migrate(db, { migrationsFolder: folder }))).toBe('POOL_DEADLOCK');
  });
});

test('in memory', async () => {
  const { db } = open(':memory:');
  await migrate(db, { migrationsFolder: migrationsFolder(TWO) });
  expect(await db.values('SELECT * FROM b')).toEqual([[1]]);
});

test('a file that may only be read is fine where nothing is missing', async () => {
  const { db, file, pool } = open();
  const config = { migrationsFolder: migrationsFolder(TWO) };
  await migrate(db, config);
  await pool.close();
  await migrate(open(file, { readonly: true }).db, config);
});

test('while the same pool is written to', async () => {
  const { db, pool } = await fresh();
  await pool.exec('CREATE TABLE log (n)');
  const writes = Array.from({ length: 300 }, (_, n) => db.run(`INSERT INTO log VALUES (${n})`));
  const all = Promise.all(writes);
  await migrate(db, { migrationsFolder: migrationsFolder([FAMILY, REBUILD]) });
  await all;
  expect(await db.get('SELECT count(*) AS n FROM log')).toEqual({ n: 300 });
});

describe('several at once', () => {
  /** Each would fail, or be recorded twice, where two ran it. */
  const many = Array.from({ length: 20 }, (_, n) => [
    `CREATE TABLE made_${n} (n)`,
    `INSERT INTO made_${n} VALUES (1)`,
  ]);

  async function checked(file: string): Promise<void> {
    const { db } = open(file);
    expect(await db.values(RECORDS)).toHaveLength(many.length);
    for (const n of many.keys()) expect(await db.values(`SELECT * FROM made_${n}`)).toHaveLength(1);
  }

  test('in one pool, and in two', async () => {
    const { db, file } = await fresh();
    const second = open(file, { cacheSize: 200 }).db;
    const folder = migrationsFolder(many);
    const run = (each: typeof db) => migrate(each, { migrationsFolder: folder });
    await Promise.all([db, second, db, second].map(run));
    await checked(file);
  });

  /** A process that is ready to migrate; resolves to what it has said when it has ended. */
  async function migrator(file: string, folder: string) {
    const program = fileURLToPath(new URL('support/migrator.ts', import.meta.url));
    const flags = ['--experimental-strip-types', '--disable-warning=ExperimentalWarning'];
    const child = spawn(process.execPath, [...flags, program, file, folder], {
      stdio: ['pipe', 'pipe', 'pipe'],
    });
    onTestFinished(() => void child.kill('SIGKILL'));
    const said: string[] = [];
    const lines = createInterface({ input: child.stdout });
    lines.on('line', (line) => said.push(line));
    createInterface({ input: child.stderr }).on('line', (line) => said.push(line));
    await once(lines, 'line');
    return {
      begin: () => child.stdin.write('go\n'),
      ended: once(child, 'close').then(([code]) => ({ code, said })),
    };
  }

  const fine = { code: 0, said: ['ready', 'migrated'] };

  test('in two processes that start at once', async () => {
    const file = freshFile();
    const folder = migrationsFolder(many);
    const children = await Promise.all([migrator(file, folder), migrator(file, folder)]);
    for (const child of children) child.begin();
    expect(await Promise.all(children.map(({ ended }) => ended))).toEqual([fine, fine]);
    await checked(file);
  });

  test('a process waits for one that migrates, longer than for a lock', async () => {
    const file = freshFile();
    const folder = migrationsFolder(many);
    const other = new Database(file);
    onTestFinished(() => void other.close());
    other.pragma('journal_mode = WAL');
    const { db } = open(file, { busyTimeout: 20 });
    await db.$client.ready();
    other.exec('BEGIN IMMEDIATE; CREATE TABLE busy (n)');
    const waiting = migrate(db, { migrationsFolder: folder });
    let retries = 0;
    await new Promise<void>((resolve) => {
      db.$client.on('busy', () => ++retries === 3 && resolve());
    });
    other.exec('COMMIT');
    await waiting;
    await checked(file);
  });

  test('it waits no longer than it is told to', async () => {
    const file = freshFile();
    const other = new Database(file);
    onTestFinished(() => void other.close());
    other.pragma('journal_mode = WAL');
    const { db } = open(file, { busyTimeout: 1 });
    await db.$client.ready();
    other.exec('BEGIN IMMEDIATE');
    const config = { migrationsFolder: migrationsFolder(many), lockTimeout: 30 };
    expect(await outcome(migrate(db, config))).toBe('SQLITE_BUSY');
    other.exec('COMMIT');
    expect(await enforced(db)).toEqual(ON);
  });
});
