import { sql } from 'drizzle-orm';
import { expect, test } from 'vitest';
import { ENDLESS, hooked } from '../../core/test/support/endless.ts';
import { openBank, outcome, owner } from './support/db.ts';

const endless = sql.raw(ENDLESS);
const write = sql.raw(`INSERT INTO owner (name) SELECT 'never' FROM (${ENDLESS}) WHERE n > 0`);
/** Long enough for what does not take a minute, on any machine. */
const limited = { readers: 1, statementTimeout: 1200 };

hooked('a pool with a statementTimeout stops what Drizzle runs', () => {
  test('outside a transaction', async () => {
    const { db } = await openBank({}, limited);
    const calls = [
      db.all(endless),
      db.run(write),
      db.select({ n: sql`(${endless})` }).from(owner),
      db.batch([db.run(write)]),
    ];
    expect(await Promise.all(calls.map(outcome))).toEqual(calls.map(() => 'POOL_TIMEOUT'));
    expect(await db.$count(owner)).toBe(2);
  });

  test('in a transaction, which a read that is stopped leaves open', async () => {
    const { db } = await openBank({}, limited);
    await db.transaction(async (tx) => {
      await tx.insert(owner).values({ name: 'kept' });
      expect(await outcome(tx.all(endless))).toBe('POOL_TIMEOUT');
    });
    expect(await db.$count(owner)).toBe(3);
  });

  test('and a transaction with a signal is rolled back at once', async () => {
    const { db } = await openBank({}, { readers: 1 });
    const controller = new AbortController();
    const { signal } = controller;
    const work = db.transaction(
      async (tx) => {
        await tx.insert(owner).values({ name: 'undone' });
        setTimeout(() => controller.abort(), 50);
        await tx.all(endless);
      },
      { signal },
    );
    expect(await outcome(work)).toBe('POOL_ABORTED');
    expect(await db.$count(owner)).toBe(2);
  });
});
