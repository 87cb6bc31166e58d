import { expect, test } from 'vitest';
import { ENDLESS, hooked } from '../../core/test/support/endless.ts';
import { Account, account, names, openSource, outcome } from './support/db.ts';

const write = `INSERT INTO account (name) SELECT 'never' FROM (${ENDLESS}) WHERE n > 0`;
/** Long enough for what does not take a minute, on any machine. */
const limited = { readers: 1, statementTimeout: 1200 };

hooked('a pool with a statementTimeout stops what TypeORM runs', () => {
  test('outside a transaction', async () => {
    const source = await openSource({}, limited);
    const built = source.createQueryBuilder().select(`(${ENDLESS})`, 'n').from(Account, 'a');
    await source.getRepository(Account).save(account('there'));
    const calls = [source.query(ENDLESS), source.query(write), built.getRawMany()];
    expect(await Promise.all(calls.map(outcome))).toEqual(calls.map(() => 'POOL_TIMEOUT'));
    expect(await names(source)).toEqual(['there']);
  });

  test('in a transaction, which a read that is stopped leaves open', async () => {
    const source = await openSource({}, limited);
    await source.transaction(async (manager) => {
      await manager.getRepository(Account).save(account('kept'));
      expect(await outcome(manager.query(ENDLESS))).toBe('POOL_TIMEOUT');
    });
    expect(await names(source)).toEqual(['kept']);
  });

  test('streams', async () => {
    const source = await openSource({}, limited);
    await source.getRepository(Account).save(account('there'));
    const built = source.createQueryBuilder().select(`(${ENDLESS})`, 'n').from(Account, 'a');
    const stream = await built.stream();
    const ended = new Promise<void>((resolve, reject) => {
      stream.on('end', resolve).on('error', reject);
    });
    stream.resume();
    expect(await outcome(ended)).toBe('POOL_TIMEOUT');
    expect(await names(source)).toEqual(['there']);
  });
});
