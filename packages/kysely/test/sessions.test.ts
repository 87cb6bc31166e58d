import { sql } from 'kysely';
import { describe, expect, test } from 'vitest';
import {
  account,
  changes,
  count,
  createTables,
  freshAccounts,
  freshFile,
  kyselyOn,
  lastInsertRowid,
  openPool,
  outcome,
  stockOn,
} from './support/db.ts';

const fresh = freshAccounts({ acquireTimeout: 0, transactionTimeout: 0 });

describe('db.connection()', () => {
  test('keeps last_insert_rowid(), whatever others insert meanwhile', async () => {
    const { db } = await fresh(0);
    const one = (n: number) =>
      db.connection().execute(async (own) => {
        const { insertId } = await own
          .insertInto('account')
          .values(account(`${n}`))
          .executeTakeFirstOrThrow();
        const told = await lastInsertRowid.execute(own);
        expect(BigInt(told.rows[0]?.id ?? -1)).toBe(insertId);
        return insertId;
      });
    const ids = await Promise.all(Array.from({ length: 40 }, (_, n) => one(n)));
    expect(new Set(ids).size).toBe(40);
  });

  test.each([0, 1, 2, 7])('keeps changes() of a write of %i rows', async (rows) => {
    const { db, pool } = await fresh(7);
    await db.connection().execute(async (own) => {
      await own.updateTable('account').set({ cents: 1 }).where('id', '<=', rows).execute();
      await pool.run("INSERT INTO account (name, cents) VALUES ('meanwhile', 0)");
      expect((await changes.execute(own)).rows).toEqual([{ n: rows }]);
      const both = sql<{ id: number; n: number }>`SELECT changes() AS n, last_insert_rowid() AS id`;
      expect((await both.execute(own)).rows[0]?.n).toBe(rows);
    });
  });

  test('keeps both after a transaction, and through writes that use them', async () => {
    const { db } = await fresh(3);
    await db.connection().execute(async (own) => {
      await own
        .transaction()
        .execute((trx) => trx.insertInto('account').values(account('a')).execute());
      await Promise.all(
        [1, 2, 3].map(() => db.insertInto('account').values(account('x')).execute()),
      );
      expect((await lastInsertRowid.execute(own)).rows).toEqual([{ id: 4 }]);
      await sql`UPDATE account SET name = 'b' WHERE id = last_insert_rowid()`.execute(own);
      expect((await changes.execute(own)).rows).toEqual([{ n: 1 }]);
    });
    expect(await db.selectFrom('account').select('id').where('name', '=', 'b').execute()).toEqual([
      { id: 4 },
    ]);
  });

  test('keeps temporary tables', async () => {
    const { db } = await fresh(2);
    const rows = await db.connection().execute(async (own) => {
      await sql`CREATE TEMP TABLE picked (id)`.execute(own);
      await sql`INSERT INTO picked VALUES (2)`.execute(own);
      const { rows } = await sql`SELECT name FROM picked JOIN account USING (id)`.execute(own);
      await sql`DROP TABLE picked`.execute(own);
      return rows;
    });
    expect(rows).toEqual([{ name: 'name 2' }]);
  });

  test('keeps its settings, and hands none of them on', async () => {
    const { db } = await fresh(1);
    const keys = sql<{ foreign_keys: number }>`PRAGMA foreign_keys`;
    await sql`CREATE TABLE entry (account REFERENCES account)`.execute(db);
    await db.connection().execute(async (own) => {
      await sql`PRAGMA foreign_keys = OFF`.execute(own);
      expect((await keys.execute(own)).rows).toEqual([{ foreign_keys: 0 }]);
      await sql`INSERT INTO entry VALUES (99)`.execute(own);
    });
    expect((await keys.execute(db)).rows).toEqual([{ foreign_keys: 1 }]);
    expect(await outcome(sql`INSERT INTO entry VALUES (98)`.execute(db))).toBe(
      'SQLITE_CONSTRAINT_FOREIGNKEY',
    );
  });

  test('takes its settings back after an error inside a transaction of its own', async () => {
    const { db } = await fresh(1);
    const work = db.connection().execute(async (own) => {
      await sql`PRAGMA foreign_keys = OFF`.execute(own);
      await sql`BEGIN`.execute(own);
      await own.insertInto('account').values(account('undone')).execute();
      throw new Error('left open');
    });
    expect(await outcome(work)).toBe('Error: left open');
    expect((await sql`PRAGMA foreign_keys`.execute(db)).rows).toEqual([{ foreign_keys: 1 }]);
    expect(await count(db)).toBe(1);
  });

  test('reads what it wrote', async () => {
    const { db } = await fresh(0);
    await db.connection().execute(async (own) => {
      for (let n = 1; n <= 5; n++) {
        await own
          .insertInto('account')
          .values(account(`${n}`))
          .execute();
        expect(await count(own)).toBe(n);
      }
    });
  });

  test('that holds the writer refuses outer writes in its transactions at once', async () => {
    const { db } = await fresh(0);
    await db.connection().execute(async (own) => {
      for (const name of ['a', 'b'])
        await own.insertInto('account').values(account(name)).execute();
      await own.transaction().execute(async (trx) => {
        const outer = db.insertInto('account').values(account('outer')).execute();
        expect(await outcome(outer)).toBe('POOL_DEADLOCK');
        await trx.insertInto('account').values(account('c')).execute();
      });
    });
    expect(await count(db)).toBe(3);
  });

  test('may ask for its last rowid in a transaction that only reads', async () => {
    const { db } = await fresh(0);
    await db.connection().execute(async (own) => {
      await own.insertInto('account').values(account('a')).execute();
      const reading = own.transaction().setAccessMode('read only');
      expect(await outcome(reading.execute((trx) => lastInsertRowid.execute(trx)))).toBe(
        'resolved',
      );
      expect((await lastInsertRowid.execute(own)).rows).toEqual([{ id: 1 }]);
    });
  });

  test('that only reads, or writes once, keeps nobody from writing', async () => {
    const { db } = await fresh(0);
    await db.connection().execute(async (own) => {
      await count(own);
      await db.insertInto('account').values(account('a')).execute();
      await own.insertInto('account').values(account('b')).execute();
      await db.insertInto('account').values(account('c')).execute();
      expect(await count(own)).toBe(3);
    });
  });
});

describe('outside of it', () => {
  test('last_insert_rowid() is that of the last write, as on one connection', async () => {
    const { db } = await fresh(3);
    expect((await lastInsertRowid.execute(db)).rows).toEqual([{ id: 3 }]);
  });

  test('inserts of many callers share commits', async () => {
    const { db, pool } = await fresh(0);
    const before = pool.stats();
    const insert = (n: number) =>
      db
        .insertInto('account')
        .values(account(`${n}`))
        .execute();
    await Promise.all(Array.from({ length: 200 }, (_, n) => insert(n)));
    const after = pool.stats();
    expect(after.writes.groups - before.writes.groups).toBeLessThan(50);
    expect(await count(db)).toBe(200);
  });
});

test.each(['a file', ':memory:'])(
  'the same calls give what SqliteDialect gives, on %s',
  async (where) => {
    const file = () => (where === 'a file' ? freshFile() : where);
    const both = [kyselyOn(openPool(file())), stockOn(file())];
    const results = [];
    for (const db of both) {
      const all: unknown[] = [];
      await createTables(db);
      const q = async (text: string) => {
        const { rows, insertId, numAffectedRows } = await sql.raw(text).execute(db);
        all.push({ rows, insertId, numAffectedRows });
      };
      await q("INSERT INTO account (name, cents) VALUES ('a', 1), ('b', 2)");
      await q("UPDATE account SET cents = 9 WHERE name = 'b'");
      await q("UPDATE account SET cents = 9 WHERE name = 'z'");
      await q("UPDATE account SET cents = 9 WHERE name = 'z' RETURNING id");
      await q("INSERT INTO account (name, cents) VALUES ('c', 1) RETURNING id, name");
      await q("WITH x AS (SELECT 'd' AS n) INSERT INTO account (name, cents) SELECT n, 0 FROM x");
      await q("REPLACE INTO account VALUES (1, 'aa', 5)");
      await q('DELETE FROM account WHERE id > 3');
      await q('SELECT * FROM account ORDER BY id');
      await q("VALUES (1, x'00ff', NULL, 1.5)");
      await q('CREATE INDEX by_name ON account (name)');
      await q('PRAGMA user_version = 3');
      await q('PRAGMA user_version');
      all.push(await db.insertInto('account').values(account('e')).executeTakeFirst());
      all.push(await db.updateTable('account').set({ cents: 0 }).executeTakeFirst());
      all.push(await db.deleteFrom('account').executeTakeFirst());
      all.push(await db.introspection.getTables());
      results.push(all);
    }
    expect(results[0]).toEqual(results[1]);
  },
);
