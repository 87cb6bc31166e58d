import Database from 'better-sqlite3';
import { DrizzleQueryError, eq, sql } from 'drizzle-orm';
import { describe, expect, test } from 'vitest';
import { account, freshBanks, openBank, outcome, owner } from './support/db.ts';

const freshBank = freshBanks();

type Db = Awaited<ReturnType<typeof freshBank>>['db'];

const failing: [how: string, run: (db: Db) => PromiseLike<unknown>, code: string][] = [
  [
    'an insert',
    (db) => db.insert(owner).values({ id: 1, name: 'twice' }),
    'SQLITE_CONSTRAINT_PRIMARYKEY',
  ],
  [
    'an insert that returns',
    (db) => db.insert(account).values({ ownerId: 99 }).returning(),
    'SQLITE_CONSTRAINT_FOREIGNKEY',
  ],
  ['an update', (db) => db.update(owner).set({ name: sql`NULL` }), 'SQLITE_CONSTRAINT_NOTNULL'],
  ['a delete', (db) => db.delete(owner).where(eq(owner.id, 1)), 'SQLITE_CONSTRAINT_FOREIGNKEY'],
  ['a select', (db) => db.select({ x: sql`missing` }).from(owner), 'SQLITE_ERROR'],
  ['a relational query', (db) => db.query.owner.findMany({ where: sql`missing` }), 'SQLITE_ERROR'],
  ['run', (db) => db.run('DELETE FROM missing'), 'SQLITE_ERROR'],
  ['all', (db) => db.all('SELECT * FROM missing'), 'SQLITE_ERROR'],
  ['get', (db) => db.get('SELECT * FROM missing'), 'SQLITE_ERROR'],
  ['values', (db) => db.values('SELECT * FROM missing'), 'SQLITE_ERROR'],
  ['$count', (db) => db.$count(owner, sql`missing`), 'SQLITE_ERROR'],
  [
    'a batch',
    (db) => db.batch([db.run('SELECT 1'), db.run('DELETE FROM missing')]),
    'SQLITE_ERROR',
  ],
];

describe('what fails', () => {
  test.each(failing)(
    "%s fails with SQLite's own error as the cause, in a transaction too",
    async (how, run, code) => {
      const { db } = await freshBank();
      const thrown = await Promise.resolve(run(db)).catch((error: unknown) => error);
      expect(thrown).toBeInstanceOf(DrizzleQueryError);
      const { cause, query } = thrown as DrizzleQueryError;
      expect(cause).toBeInstanceOf(Database.SqliteError);
      expect(cause).toHaveProperty('code', code);
      expect(query).not.toBe('');
      if (how === 'a batch') return;
      await db.transaction(async (tx) => {
        expect(await outcome(run(tx as unknown as Db))).toBe(code);
      });
    },
  );
});

test('the error tells the query and its values, and the lines of the caller', async () => {
  const { db } = await freshBank();
  const insert = db.insert(owner).values({ id: 2, name: 'twice' });
  const error = await insert.catch((thrown: DrizzleQueryError) => thrown);
  expect(error).toMatchObject({
    query: 'insert into "owner" ("id", "name", "invited_by") values (?, ?, null)',
    params: [2, 'twice'],
    message: expect.stringContaining('Failed query: insert into "owner"'),
  });
  expect((error as DrizzleQueryError).stack).toContain('errors.test.ts');
});

test('a statement of a batch that fails is the one that the error names', async () => {
  const { db } = await freshBank();
  const batch = db.batch([
    db.insert(owner).values({ name: 'Edsger' }),
    db.insert(owner).values({ id: 1, name: 'twice' }),
    db.select().from(owner),
  ]);
  const error = (await batch.catch((thrown: unknown) => thrown)) as DrizzleQueryError;
  expect(error.params).toEqual([1, 'twice']);
  expect(await db.$count(owner)).toBe(2);
});

const misused: [what: string, run: (db: Db) => PromiseLike<unknown>, code: string][] = [
  ['BEGIN by itself', (db) => db.run('BEGIN'), 'POOL_MISUSE'],
  ['a SAVEPOINT by itself', (db) => db.run(sql`SAVEPOINT s`), 'POOL_MISUSE'],
  [
    'COMMIT inside a transaction',
    (db) => db.transaction(async (tx) => tx.run('COMMIT')),
    'POOL_MISUSE',
  ],
  ['a value that SQLite cannot hold', (db) => db.all(sql`SELECT ${{ a: 1 }}`), 'POOL_MISUSE'],
  ['a VACUUM in a batch', (db) => db.batch([db.run('VACUUM')]), 'POOL_MISUSE'],
  [
    'an access mode that there is not',
    (db) => db.transaction(async () => {}, { accessMode: 'none' as never }),
    'POOL_OPTIONS',
  ],
  [
    'a behavior that there is not',
    (db) => db.transaction(async () => {}, { behavior: 'none' as never }),
    'POOL_OPTIONS',
  ],
  ['a transaction without work', (db) => db.transaction(undefined as never), 'POOL_MISUSE'],
];

describe('misuse', () => {
  test.each(misused)('%s is refused', async (_, run, code) => {
    const { db } = await freshBank();
    expect(await outcome(run(db))).toBe(code);
    expect(await db.$count(owner)).toBe(2);
  });
});

test('a closed pool is told of', async () => {
  const { db, pool } = await openBank();
  await pool.close();
  expect(await outcome(db.select().from(owner))).toBe('POOL_CLOSED');
  expect(await outcome(db.transaction(async () => {}))).toBe('POOL_CLOSED');
  expect(await outcome(db.batch([db.select().from(owner)]))).toBe('POOL_CLOSED');
});

test('a placeholder without a value is named', async () => {
  const { db } = await freshBank();
  const query = db
    .select()
    .from(owner)
    .where(eq(owner.id, sql.placeholder('id')))
    .prepare();
  await expect(query.all()).rejects.toThrow('No value for placeholder "id" was provided');
  await expect(query.all({ other: 1 })).rejects.toThrow('placeholder "id"');
});
