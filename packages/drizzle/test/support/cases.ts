import { eq, sql } from 'drizzle-orm';
import { describe, expect, test } from 'vitest';
import { type openBank, owner, sharedBank } from './db.ts';

export const ADA = { id: 1, name: 'Ada', invitedBy: null };
export const GRACE = { id: 2, name: 'Grace', invitedBy: 1 };

export type Db = Awaited<ReturnType<typeof openBank>>['db'];
export type Case = [what: string, run: (db: Db) => PromiseLike<unknown>, expected: unknown];

export const byId = eq(owner.id, sql.placeholder('id'));
export const named = (db: Db) => db.select({ name: owner.name }).from(owner);

/** Each on the same rows: first in a transaction that is undone, then by itself. */
export function tryCases(name: string, cases: readonly Case[]): void {
  describe(name, () => {
    const bank = sharedBank();
    test.each(cases)('%s, in a transaction and alone', async (what, run, expected) => {
      const db = bank();
      // A journal mode cannot be set in a transaction.
      if (!what.endsWith('that answers')) {
        const undone = db.transaction(async (tx) => {
          expect(await run(tx as unknown as Db)).toEqual(expected);
          tx.rollback();
        });
        await expect(undone).rejects.toThrow('Rollback');
      }
      expect(await run(db)).toEqual(expected);
    });
  });
}
