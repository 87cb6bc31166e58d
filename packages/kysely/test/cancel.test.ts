import { sql } from 'kysely';
import { expect, test } from 'vitest';
import { ENDLESS, hooked } from '../../core/test/support/endless.ts';
import { count, freshAccounts, openAccounts } from './support/db.ts';

const endless = sql<{ n: number }>`${sql.raw(ENDLESS)}`;
const write = sql`INSERT INTO account (name, cents) SELECT 'never', n FROM (${sql.raw(ENDLESS)})`;

function soon(): { signal: AbortSignal; inflightQueryAbortStrategy: 'cancel query' } {
  return { signal: AbortSignal.timeout(60), inflightQueryAbortStrategy: 'cancel query' };
}

hooked("the strategy 'cancel query'", () => {
  const fresh = freshAccounts({ readers: 1 });

  test('stops a read, and its thread goes on', async () => {
    const { db } = await fresh(1);
    await expect(endless.execute(db, soon())).rejects.toMatchObject({ name: 'TimeoutError' });
    expect(await count(db)).toBe(1);
  });

  test('stops a write, of which nothing is stored', async () => {
    const { db } = await fresh(1);
    await expect(write.execute(db, soon())).rejects.toMatchObject({ name: 'TimeoutError' });
    await db.insertInto('account').values({ name: 'next', cents: 1 }).execute();
    expect(await count(db)).toBe(2);
  });

  test('stops a read in a transaction, which goes on', async () => {
    const { db } = await fresh(1);
    await db.transaction().execute(async (tx) => {
      await tx.insertInto('account').values({ name: 'kept', cents: 1 }).execute();
      await expect(endless.execute(tx, soon())).rejects.toMatchObject({ name: 'TimeoutError' });
    });
    expect(await count(db)).toBe(2);
  });

  test('leaves a query without a signal alone', async () => {
    const { db } = await fresh(1);
    await db.connection().execute(async (one) => {
      await expect(endless.execute(one, soon())).rejects.toMatchObject({ name: 'TimeoutError' });
      expect(await count(one)).toBe(1);
    });
  });
});

hooked('statementTimeout', () => {
  test('stops what Kysely runs', async () => {
    const { db } = await openAccounts(1, { readers: 1, statementTimeout: 1200 });
    await expect(endless.execute(db)).rejects.toMatchObject({ code: 'POOL_TIMEOUT' });
    await expect(write.execute(db)).rejects.toMatchObject({ code: 'POOL_TIMEOUT' });
    expect(await count(db)).toBe(1);
  });
});
