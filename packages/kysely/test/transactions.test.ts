import { sql } from 'kysely';
import { describe, expect, test } from 'vitest';
import { account, count, freshAccounts, kyselyOn, outcome } from './support/db.ts';

/** Whoever waits for itself waits for ever. */
const accounts = freshAccounts({ acquireTimeout: 0, transactionTimeout: 0 });

describe('transactions', () => {
  test('30 at once that read, then write what they read, lose no update', async () => {
    const { db } = await accounts(1);
    const deposit = () =>
      db.transaction().execute(async (trx) => {
        const row = await trx.selectFrom('account').selectAll().executeTakeFirstOrThrow();
        await new Promise((resolve) => setImmediate(resolve));
        await trx
          .updateTable('account')
          .set({ cents: row.cents + 1 })
          .where('id', '=', row.id)
          .execute();
      });
    await Promise.all(Array.from({ length: 30 }, deposit));
    expect(await db.selectFrom('account').select('cents').execute()).toEqual([{ cents: 30 }]);
  });

  test('one that throws is undone, and its neighbours are not', async () => {
    const { db } = await accounts(0);
    const one = (n: number) =>
      db.transaction().execute(async (trx) => {
        await trx
          .insertInto('account')
          .values(account(`${n}`))
          .execute();
        if (n % 3 === 0) throw new Error('no');
      });
    const results = await Promise.allSettled(Array.from({ length: 30 }, (_, n) => one(n)));
    expect(results.filter(({ status }) => status === 'rejected')).toHaveLength(10);
    expect(await count(db)).toBe(20);
  });

  test('a write beside the transaction, inside its callback, is POOL_DEADLOCK at once', async () => {
    const { db } = await accounts(0);
    await db.transaction().execute(async (trx) => {
      const insert = () => db.insertInto('account').values(account('outside')).execute();
      expect(await outcome(insert())).toBe('POOL_DEADLOCK');
      await trx.insertInto('account').values(account('inside')).execute();
      expect(await outcome(insert())).toBe('POOL_DEADLOCK');
      expect(await outcome(db.transaction().execute(async () => {}))).toBe('POOL_DEADLOCK');
    });
    await db.insertInto('account').values(account('after')).execute();
    expect(await count(db)).toBe(2);
  });

  test('the same holds for a controlled transaction, until it ends', async () => {
    const { db } = await accounts(0);
    const trx = await db.startTransaction().execute();
    await trx.insertInto('account').values(account('inside')).execute();
    await trx.commit().execute();
    await db.insertInto('account').values(account('after')).execute();
    expect(await count(db)).toBe(2);
  });

  test('a read beside the transaction sees the last commit, and waits for nothing', async () => {
    const { db } = await accounts(1);
    await db.transaction().execute(async (trx) => {
      await trx.insertInto('account').values(account('inside')).execute();
      expect(await count(db)).toBe(1);
      expect(await count(trx)).toBe(2);
    });
    expect(await count(db)).toBe(2);
  });

  test('are logged as Kysely logs them', async () => {
    const { pool } = await accounts(0);
    const logged: string[] = [];
    const db = kyselyOn(pool, { log: (event) => void logged.push(event.query.sql) });
    await db.transaction().execute((trx) => sql`SELECT 1`.execute(trx));
    await db
      .transaction()
      .execute(() => Promise.reject(new Error('no')))
      .catch(() => {});
    expect(logged).toEqual(['begin', 'SELECT 1', 'commit', 'begin', 'rollback']);
  });

  test('savepoints undo what came after them', async () => {
    const { db } = await accounts(0);
    const trx = await db.startTransaction().execute();
    await trx.insertInto('account').values(account('kept')).execute();
    const after = await trx.savepoint('here').execute();
    await after.insertInto('account').values(account('undone')).execute();
    const back = await after.rollbackToSavepoint('here').execute();
    await back.insertInto('account').values(account('kept too')).execute();
    await (await back.releaseSavepoint('here').execute()).commit().execute();
    const names = await db.selectFrom('account').select('name').orderBy('id').execute();
    expect(names.map(({ name }) => name)).toEqual(['kept', 'kept too']);
  });
});

describe("access mode 'read only'", () => {
  test('is a snapshot: it sees one state while others write, and delays no writer', async () => {
    const { db } = await accounts(1);
    await db
      .transaction()
      .setAccessMode('read only')
      .execute(async (trx) => {
        expect(await count(trx)).toBe(1);
        await db.insertInto('account').values(account('meanwhile')).execute();
        expect(await count(trx)).toBe(1);
        expect(await count(db)).toBe(2);
      });
  });

  test.each(['a file', ':memory:'])('refuses to write, in %s', async (where) => {
    const { openPool, createTables } = await import('./support/db.ts');
    const pool = openPool(where === 'a file' ? (await accounts(0)).file : where);
    const db = kyselyOn(pool);
    if (where === ':memory:') await createTables(db);
    const insert = db
      .transaction()
      .setAccessMode('read only')
      .execute((trx) => trx.insertInto('account').values(account('no')).execute());
    expect(await outcome(insert)).toMatch(/^SQLITE_READONLY/);
    await db.insertInto('account').values(account('yes')).execute();
    expect(await count(db)).toBe(1);
  });
});

describe('isolation levels', () => {
  test.each(['read committed', 'repeatable read', 'snapshot', 'serializable'] as const)(
    '%s is had, since SQLite gives more',
    async (level) => {
      const { db } = await accounts(0);
      await db
        .transaction()
        .setIsolationLevel(level)
        .execute((trx) => trx.insertInto('account').values(account(level)).execute());
      expect(await count(db)).toBe(1);
    },
  );

  test('read uncommitted is refused', async () => {
    const { db } = await accounts(0);
    const work = db
      .transaction()
      .setIsolationLevel('read uncommitted')
      .execute(async () => {});
    expect(await outcome(work)).toBe('POOL_MISUSE');
  });
});
