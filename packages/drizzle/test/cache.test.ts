import { eq, getTableName, type Table } from 'drizzle-orm';
import { Cache, type MutationOption } from 'drizzle-orm/cache/core';
import { expect, test } from 'vitest';
import { account, freshBanks, outcome, owner } from './support/db.ts';

const freshBank = freshBanks();

/** A cache that keeps everything in memory, and notes what is asked of it. */
class Noted extends Cache {
  readonly noted: string[] = [];
  readonly #strategy: 'explicit' | 'all';
  readonly #rows = new Map<string, { rows: unknown[]; tables: string[] }>();
  onForget: () => Promise<unknown> = async () => {};

  constructor(strategy: 'explicit' | 'all') {
    super();
    this.#strategy = strategy;
  }

  override strategy() {
    return this.#strategy;
  }

  override async get(key: string) {
    const found = this.#rows.get(key);
    this.noted.push(found === undefined ? 'miss' : 'hit');
    return found?.rows;
  }

  override async put(key: string, rows: unknown[], tables: string[]) {
    this.noted.push('put');
    this.#rows.set(key, { rows, tables });
  }

  override async onMutate({ tables = [] }: MutationOption) {
    const all = (Array.isArray(tables) ? tables : [tables]) as (string | Table)[];
    const names = all.map((table) => (typeof table === 'string' ? table : getTableName(table)));
    this.noted.push(`forget ${names.sort().join(' ')}`);
    await this.onForget();
    for (const [key, entry] of this.#rows) {
      if (entry.tables.some((table) => names.includes(table))) this.#rows.delete(key);
    }
  }
}

async function open(strategy: 'explicit' | 'all' = 'all') {
  const cache = new Noted(strategy);
  const bank = await freshBank({ cache });
  return { ...bank, noted: cache.noted, cache };
}

test('a select is kept, until its table is written to', async () => {
  const { db, noted } = await open();
  const read = () => db.select().from(account).where(eq(account.id, 1));
  const before = [{ id: 1, ownerId: 1, cents: 0 }];
  expect(await read()).toEqual(before);
  expect(await read()).toEqual(before);
  await db.update(owner).set({ name: 'x' });
  expect(await read()).toEqual(before);
  await db.update(account).set({ cents: 3 });
  expect(await read()).toEqual([{ id: 1, ownerId: 1, cents: 3 }]);
  expect(noted).toEqual([
    ...['miss', 'put', 'hit', 'forget owner', 'hit', 'forget account', 'miss', 'put'],
  ]);
});

test('with the explicit strategy, only queries that ask for it', async () => {
  const { db, noted } = await open('explicit');
  await db.select().from(account);
  expect(noted).toEqual([]);
  await db.select().from(account).$withCache();
  await db.select().from(account).$withCache();
  expect(noted).toEqual(['miss', 'put', 'hit']);
});

test('a write makes it forget when it is stored, and not before', async () => {
  const { db, cache, pool } = await open();
  const stored: unknown[] = [];
  cache.onForget = async () => stored.push(await pool.get('SELECT cents FROM account'));
  await db.update(account).set({ cents: 5 });
  await db.batch([db.update(account).set({ cents: 6 })]);
  await db.transaction((tx) => tx.update(account).set({ cents: 7 }).execute());
  expect(stored).toEqual([{ cents: 5 }, { cents: 6 }, { cents: 7 }]);
});

test('a write that fails makes it forget nothing', async () => {
  const { db, noted } = await open();
  const twice = { id: 1, name: 'twice' };
  expect(await outcome(db.insert(owner).values(twice))).toBe('SQLITE_CONSTRAINT_PRIMARYKEY');
  await outcome(db.batch([db.delete(account), db.insert(owner).values(twice)]));
  await outcome(db.transaction((tx) => tx.delete(account).then(() => tx.rollback())));
  expect(noted).toEqual([]);
});

test('a transaction reads past it, and makes it forget once it has committed', async () => {
  const { db, noted } = await open();
  await db.select().from(account);
  noted.length = 0;
  await db.transaction(async (tx) => {
    await tx.update(account).set({ cents: 8 });
    await tx.transaction((nested) => nested.update(owner).set({ name: 'x' }).execute());
    const rows = await tx.select({ cents: account.cents }).from(account);
    expect(rows).toEqual([{ cents: 8 }, { cents: 8 }]);
    expect(noted).toEqual([]);
  });
  expect(noted).toEqual(['forget account owner']);
  expect((await db.select().from(account))[0]?.cents).toBe(8);
});

test('db.$cache is the cache, and forgets on demand', async () => {
  const { db, noted, cache } = await open();
  expect(db.$cache).toBe(cache);
  await db.$cache.invalidate({ tables: [account, owner] });
  expect(noted).toEqual(['forget account owner']);
});

test('without a cache, db.$cache does nothing', async () => {
  const { db } = await freshBank();
  expect(await db.$cache.invalidate({ tables: account })).toBeUndefined();
});
