import { createPool } from '@poolite/core';
import { drizzle } from '@poolite/drizzle';
import { eq, sql, TransactionRollbackError } from 'drizzle-orm';
import { describe, expect, test } from 'vitest';
import { account, freshBanks, freshFile, openPool, outcome, owner, TABLES } from './support/db.ts';

const freshBank = freshBanks();

const first = eq(account.id, 1);

type Db = Awaited<ReturnType<typeof freshBank>>['db'];

async function cents(db: Pick<Db, 'select'>): Promise<number | undefined> {
  const row = await db.select({ cents: account.cents }).from(account).where(first).get();
  return row?.cents;
}

/** Reads, lets everybody else have a go, and writes what it read and one more. */
function deposit(db: Db, behavior?: 'deferred' | 'immediate' | 'exclusive') {
  return db.transaction(async (tx) => {
    const before = (await cents(tx)) ?? 0;
    await new Promise(setImmediate);
    await tx
      .update(account)
      .set({ cents: before + 1 })
      .where(first);
    return before;
  }, behavior && { behavior });
}

describe('thirty transactions that read, wait and write lose nothing', () => {
  test.each([undefined, 'deferred', 'immediate', 'exclusive'] as const)(
    'behavior %s',
    async (how) => {
      const { db } = await freshBank();
      const seen = await Promise.all(Array.from({ length: 30 }, () => deposit(db, how)));
      expect(seen.sort((a, b) => a - b)).toEqual(Array.from({ length: 30 }, (_, n) => n));
      expect(await cents(db)).toBe(30);
    },
  );

  test('beside reads and single writes, which go on', async () => {
    const { db } = await freshBank();
    const deposits = Array.from({ length: 30 }, () => deposit(db));
    const reads = Array.from({ length: 30 }, () => db.$count(owner));
    const writes = Array.from({ length: 30 }, (_, n) => db.insert(account).values({ cents: n }));
    await Promise.all([...deposits, ...writes]);
    expect(await Promise.all(reads)).toEqual(reads.map(() => 2));
    expect(await cents(db)).toBe(30);
    expect(await db.$count(account)).toBe(32);
  });
});

describe('behavior', () => {
  /** Whether another connection could write while the transaction had only read. */
  async function locks(behavior: 'deferred' | 'immediate' | undefined): Promise<boolean> {
    const { db, file } = await freshBank();
    const other = openPool(file, { busyTimeout: 0, cacheSize: 100 });
    await other.ready();
    return db.transaction(async (tx) => {
      await cents(tx);
      const write = other.run('UPDATE owner SET name = name');
      return (await outcome(write)) === 'SQLITE_BUSY';
    }, behavior && { behavior });
  }

  test.each([
    ['immediate', true],
    [undefined, true],
    ['deferred', false],
  ] as const)('%s takes the lock at once: %s', async (behavior, expected) => {
    expect(await locks(behavior)).toBe(expected);
  });
});

describe('a transaction', () => {
  test('that throws is undone, and its error is the one thrown', async () => {
    const { db } = await freshBank();
    const mine = new Error('mine');
    const failed = db.transaction(async (tx) => {
      await tx.delete(account);
      throw mine;
    });
    await expect(failed).rejects.toBe(mine);
    expect(await db.$count(account)).toBe(2);
  });

  test('that calls rollback() is undone', async () => {
    const { db } = await freshBank();
    const failed = db.transaction(async (tx) => {
      await tx.delete(account);
      tx.rollback();
    });
    await expect(failed).rejects.toBeInstanceOf(TransactionRollbackError);
    expect(await db.$count(account)).toBe(2);
  });

  test('goes on after a statement that failed', async () => {
    const { db } = await freshBank();
    await db.transaction(async (tx) => {
      await tx.insert(account).values({ cents: 1 });
      const twice = tx.insert(account).values({ id: 1, cents: 1 });
      expect(await outcome(twice)).toBe('SQLITE_CONSTRAINT_PRIMARYKEY');
      await tx.insert(account).values({ cents: 2 });
    });
    expect(await db.$count(account)).toBe(4);
  });

  test('fails where its commit fails, with nothing stored', async () => {
    const { db, pool } = await freshBank();
    await pool.exec('CREATE TABLE late (o INTEGER REFERENCES owner DEFERRABLE INITIALLY DEFERRED)');
    const failed = db.transaction((tx) => tx.run('INSERT INTO late VALUES (99)').execute());
    expect(await outcome(failed)).toBe('SQLITE_CONSTRAINT_FOREIGNKEY');
    expect(await db.values('SELECT * FROM late')).toEqual([]);
  });

  test('is seen by others when it commits, and not before', async () => {
    const { db } = await freshBank();
    await db.transaction(async (tx) => {
      await tx.update(account).set({ cents: 77 }).where(first);
      expect(await cents(tx)).toBe(77);
      expect(await cents(db)).toBe(0);
    });
    expect(await cents(db)).toBe(77);
  });

  test('gives back what its callback returns, a query too', async () => {
    const { db } = await freshBank();
    expect(await db.transaction(async () => 'done')).toBe('done');
    const query = db.transaction((tx) => tx.select({ n: owner.id }).from(owner).execute());
    expect(await query).toEqual([{ n: 1 }, { n: 2 }]);
  });

  test('has relational queries', async () => {
    const { db } = await freshBank();
    const found = db.transaction(async (tx) => {
      await tx.insert(account).values({ ownerId: 1, cents: 9 });
      return tx.query.owner.findFirst({ with: { accounts: { columns: { cents: true } } } });
    });
    expect(await found).toMatchObject({ name: 'Ada', accounts: [{ cents: 0 }, { cents: 9 }] });
  });

  test('that lasts too long is rolled back, and its caller is told', async () => {
    const { db, pool } = await freshBank();
    const leaked = new Promise((resolve) => pool.on('leak', resolve));
    let tell: (late: Promise<string>) => void = () => {};
    const late = new Promise<string>((resolve) => {
      tell = resolve;
    });
    const held = db.transaction(
      async (tx) => {
        // A slow machine may come to it too late.
        expect(await outcome(tx.delete(account))).toMatch(/resolved|POOL_TIMEOUT/);
        await leaked;
        tell(outcome(tx.delete(owner)));
      },
      { timeout: 50 },
    );
    expect(await outcome(held)).toBe('POOL_TIMEOUT');
    expect(await late).toBe('POOL_TIMEOUT');
    expect(await db.$count(account)).toBe(2);
  });
});

describe('nested transactions are savepoints', () => {
  test('one that throws is undone alone', async () => {
    const { db } = await freshBank();
    await db.transaction(async (tx) => {
      await tx.insert(account).values({ cents: 1 });
      const inner = tx.transaction(async (nested) => {
        await nested.delete(account);
        expect(await nested.$count(account)).toBe(0);
        nested.rollback();
      });
      await expect(inner).rejects.toBeInstanceOf(TransactionRollbackError);
      await tx.transaction((nested) => nested.insert(account).values({ cents: 2 }).execute());
    });
    expect(await db.$count(account)).toBe(4);
  });

  test('also three deep', async () => {
    const { db } = await freshBank();
    await db.transaction((a) =>
      a.transaction(async (b) => {
        await b.insert(account).values({ cents: 1 });
        const deepest = b.transaction((c) => c.delete(account).then(() => c.rollback()));
        await expect(deepest).rejects.toThrow('Rollback');
        await b.transaction((c) => c.insert(account).values({ cents: 2 }).execute());
      }),
    );
    expect(await db.$count(account)).toBe(4);
  });

  test('go with the outer one', async () => {
    const { db } = await freshBank();
    const failed = db.transaction(async (tx) => {
      await tx.transaction((nested) => nested.delete(account).execute());
      tx.rollback();
    });
    await expect(failed).rejects.toThrow('Rollback');
    expect(await db.$count(account)).toBe(2);
  });

  test('two at once are refused: they would be one in the other', async () => {
    const { db } = await freshBank();
    await db.transaction(async (tx) => {
      const one = tx.transaction((nested) => nested.insert(account).values({ cents: 1 }).execute());
      expect(await outcome(tx.transaction(async () => {}))).toBe('POOL_MISUSE');
      await one;
    });
    expect(await db.$count(account)).toBe(3);
  });
});

describe('read only', () => {
  test('all queries see one state, whatever is written meanwhile', async () => {
    const { db } = await freshBank();
    const work = async (tx: Pick<Db, 'select'>) => {
      const before = await cents(tx);
      await db.update(account).set({ cents: 9 });
      return [before, await cents(tx)];
    };
    expect(await db.transaction(work, { accessMode: 'read only' })).toEqual([0, 0]);
    expect(await db.transaction(work, { accessMode: 'read only' })).toEqual([9, 9]);
  });

  test('a write is refused', async () => {
    const { db } = await freshBank();
    const write = db.transaction((tx) => tx.delete(account).execute(), { accessMode: 'read only' });
    expect(await outcome(write)).toBe('SQLITE_READONLY');
  });

  test('it does not wait for the writer', async () => {
    const { db } = await freshBank();
    await db.transaction(async (tx) => {
      await tx.update(account).set({ cents: 5 });
      expect(await db.transaction(cents, { accessMode: 'read only' })).toBe(0);
    });
  });
});

describe('misuse is loud', () => {
  const inside: [what: string, run: (db: Db) => PromiseLike<unknown>, expected: string][] = [
    ['an outer insert', (db) => db.insert(account).values({ cents: 1 }), 'POOL_DEADLOCK'],
    [
      'an outer insert that returns',
      (db) => db.insert(account).values({ cents: 1 }).returning(),
      'POOL_DEADLOCK',
    ],
    ['an outer db.run', (db) => db.run('DELETE FROM account'), 'POOL_DEADLOCK'],
    ['an outer batch', (db) => db.batch([db.delete(account)]), 'POOL_DEADLOCK'],
    ['an outer transaction', (db) => db.transaction(async () => {}), 'POOL_DEADLOCK'],
    [
      'a query that was prepared outside',
      (db) => db.delete(account).prepare().run(),
      'POOL_DEADLOCK',
    ],
    ['an outer select', (db) => db.select().from(account), 'resolved'],
  ];
  test.each(inside)('%s inside a transaction: %s', async (_, run, expected) => {
    const { db } = await freshBank();
    await db.transaction(async (tx) => {
      await tx.insert(account).values({ cents: 1 });
      expect(await outcome(run(db))).toBe(expected);
    });
    expect(await db.$count(account)).toBe(3);
  });

  test('a statement on a transaction that has ended', async () => {
    const { db } = await freshBank();
    const tx = await db.transaction(async (mine) => mine);
    expect(await outcome(tx.select().from(account))).toBe('POOL_MISUSE');
    expect(await outcome(tx.transaction(async () => {}))).toBe('POOL_MISUSE');
  });

  test('two databases on two pools do not mistake each other', async () => {
    const { db } = await freshBank();
    const pool = openPool(freshFile());
    for (const table of TABLES) await pool.exec(table);
    const other = drizzle(pool);
    await db.transaction(async () => {
      await other.insert(account).values({ cents: 3 });
    });
    expect(await other.$count(account)).toBe(1);
  });
});

test('in memory, transactions and reads take turns', async () => {
  const pool = createPool(':memory:');
  const db = drizzle(pool, { schema: { account, owner } });
  for (const table of TABLES) await pool.exec(table);
  await db.insert(account).values({ id: 1, cents: 0 });
  await Promise.all(
    Array.from({ length: 30 }, () =>
      db.transaction(async (tx) => {
        const row = await tx.select().from(account).where(first).get();
        await tx.update(account).set({ cents: sql`${(row?.cents ?? 0) + 1}` });
      }),
    ),
  );
  expect(await db.select().from(account)).toEqual([{ id: 1, ownerId: null, cents: 30 }]);
  await pool.close();
});
