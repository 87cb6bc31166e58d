import { type EntitySubscriberInterface, type InsertEvent, QueryFailedError } from 'typeorm';
import { expect, test } from 'vitest';
import { Account, account, openSource } from './support/db.ts';

const ROUNDS = 6;
const SAVES = 48;

test('saves of many at once keep to themselves, whatever each does behind its INSERT', async () => {
  const source = await openSource({}, { readers: 1 });
  await source.query('CREATE UNIQUE INDEX names ON account (name)');
  const seen = new Map<string, unknown>();
  const asks: EntitySubscriberInterface<Account> = {
    afterInsert: async ({ entity, queryRunner }: InsertEvent<Account>) => {
      if (entity.name.startsWith('asks')) {
        const sql =
          'SELECT last_insert_rowid() AS id, changes() AS changed, max(id) AS last FROM account';
        seen.set(entity.name, (await queryRunner.query(sql))[0]);
      }
      if (entity.name.startsWith('fails')) throw new Error(entity.name);
    },
  };
  const accounts = source.getRepository(Account);
  const named = (name: string) => accounts.save({ ...account(name), cents: 1 });
  for (let round = 0; round < ROUNDS; round++) {
    // Most end behind their INSERT, so that others run ahead; all kinds meet.
    const kinds = Array.from({ length: SAVES }, (_, n) => {
      if (n % 16 === 7) return 'asks';
      if (n % 16 === 11) return 'fails';
      return n % 16 === 13 ? 'again' : 'plain';
    });
    source.subscribers.push(asks);
    const saves = kinds.map((kind, n) => named(kind === 'again' ? 'one' : `${kind} ${round} ${n}`));
    const ends = await Promise.allSettled(saves);
    source.subscribers.pop();
    for (const [n, end] of ends.entries()) {
      const kind = kinds[n];
      if (kind === 'fails') {
        expect(end).toMatchObject({ reason: new Error(`fails ${round} ${n}`) });
      } else if (kind === 'again' && end.status === 'rejected') {
        expect(end.reason).toBeInstanceOf(QueryFailedError);
      } else {
        const { id, name } = (end as PromiseFulfilledResult<Account>).value;
        expect(await accounts.findOneBy({ id })).toEqual({ id, name, cents: 1 });
        if (kind === 'asks') expect(seen.get(name)).toEqual({ id, changed: 1, last: id });
      }
    }
  }
  const stored = await accounts.find();
  const plain = stored.filter(({ name }) => name.startsWith('plain'));
  expect(plain).toHaveLength(ROUNDS * ((SAVES / 16) * 13));
  expect(stored.filter(({ name }) => name.startsWith('fails'))).toEqual([]);
  expect(stored.filter(({ name }) => name === 'one')).toHaveLength(1);
});
