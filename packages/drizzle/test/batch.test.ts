import { eq, sql } from 'drizzle-orm';
import { describe, expect, test } from 'vitest';
import { account, freshBanks, outcome, owner } from './support/db.ts';

const freshBank = freshBanks();

describe('a batch', () => {
  test('gives each query what it gives alone, in order', async () => {
    const { db } = await freshBank();
    const results = await db.batch([
      db.insert(owner).values({ name: 'Edsger' }).returning({ id: owner.id }),
      db.insert(owner).values({ name: 'Barbara' }),
      db.select({ name: owner.name }).from(owner).where(eq(owner.id, 4)),
      db.query.owner.findMany({ columns: { id: true } }),
      db.query.owner.findFirst({ columns: { name: true }, with: { accounts: true } }),
      db.query.owner.findFirst({ where: eq(owner.id, 99) }),
      db.all(sql`SELECT id FROM owner WHERE id > ${3}`),
      db.get(sql`SELECT id FROM owner WHERE id > ${3}`),
      db.values(sql`SELECT id, id FROM owner WHERE id > ${3}`),
      db.run(sql`UPDATE account SET cents = ${8}`),
      db
        .update(account)
        .set({ cents: 9 })
        .where(eq(account.id, 1))
        .returning({ cents: account.cents }),
      db.delete(account).where(eq(account.id, 1)),
    ]);
    expect(results).toEqual([
      [{ id: 3 }],
      { changes: 1, lastInsertRowid: 4 },
      [{ name: 'Barbara' }],
      [{ id: 1 }, { id: 2 }, { id: 3 }, { id: 4 }],
      { name: 'Ada', accounts: [{ id: 1, ownerId: 1, cents: 0 }] },
      undefined,
      [{ id: 4 }],
      { id: 4 },
      [[4, 4]],
      expect.objectContaining({ changes: 2 }),
      [{ cents: 9 }],
      expect.objectContaining({ changes: 1 }),
    ]);
  });

  test('takes effect as a whole, or not at all', async () => {
    const { db } = await freshBank();
    const batch = db.batch([db.delete(account), db.insert(owner).values({ id: 1, name: 'twice' })]);
    expect(await outcome(batch)).toBe('SQLITE_CONSTRAINT_PRIMARYKEY');
    expect(await db.$count(account)).toBe(2);
  });

  test('may be empty', async () => {
    const { db } = await freshBank();
    expect(await db.batch([] as never)).toEqual([]);
  });

  test('refuses a placeholder, which nothing would fill', async () => {
    const { db } = await freshBank();
    const open = db.delete(owner).where(eq(owner.id, sql.placeholder('id')));
    await expect(db.batch([open])).rejects.toThrow('No value for placeholder "id"');
  });

  test('is one transaction, whoever else writes', async () => {
    const { db } = await freshBank();
    const transfer = () =>
      db.batch([
        db.update(account).set({ cents: sql`cents + 1` }).where(eq(account.id, 1)),
        db.update(account).set({ cents: sql`cents - 1` }).where(eq(account.id, 2)),
      ]);
    const total = db.get<{ n: number }>('SELECT sum(cents) AS n FROM account');
    const transfers = Array.from({ length: 50 }, transfer);
    const totals = await Promise.all(
      Array.from({ length: 50 }, () => total.execute().then((row) => row.n)),
    );
    await Promise.all(transfers);
    expect(new Set(totals)).toEqual(new Set([500]));
    expect(await db.select({ cents: account.cents }).from(account)).toEqual([
      { cents: 50 },
      { cents: 450 },
    ]);
  });
});
