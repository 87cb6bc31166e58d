import type { Kysely } from 'kysely';
import type { Bank } from './schema.ts';

export async function openAccounts(db: Kysely<Bank>, owners: number, cents: number): Promise<void> {
  const accounts = Array.from({ length: owners }, (_, n) => ({ owner: `owner ${n + 1}`, cents }));
  await Promise.all(accounts.map((account) => db.insertInto('account').values(account).execute()));
}

/** Moves money from one account to another, or nothing at all: false where it is not there. */
export async function transfer(
  db: Kysely<Bank>,
  sender: number,
  receiver: number,
  cents: number,
): Promise<boolean> {
  return db.transaction().execute(async (trx) => {
    const { cents: has } = await trx
      .selectFrom('account')
      .select('cents')
      .where('id', '=', sender)
      .executeTakeFirstOrThrow();
    if (has < cents) return false;
    await trx
      .updateTable('account')
      .set((eb) => ({ cents: eb('cents', '-', cents) }))
      .where('id', '=', sender)
      .execute();
    await trx
      .updateTable('account')
      .set((eb) => ({ cents: eb('cents', '+', cents) }))
      .where('id', '=', receiver)
      .execute();
    await trx.insertInto('transfer').values({ sender, receiver, cents }).execute();
    return true;
  });
}

/** All the money there is. */
export async function total(db: Kysely<Bank>): Promise<number> {
  const { cents } = await db
    .selectFrom('account')
    .select((eb) => eb.fn.sum<number>('cents').as('cents'))
    .executeTakeFirstOrThrow();
  return cents;
}
