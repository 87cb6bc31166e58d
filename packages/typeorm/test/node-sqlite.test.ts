import { SqliteError } from '@poolite/core';
import { QueryFailedError } from 'typeorm';
import { expect, test } from 'vitest';
import { Account, openSource } from './support/db.ts';

test("runs on Node's own SQLite: schema, repositories, transactions, errors", async (context) => {
  context.skip(Number.parseInt(process.versions.node, 10) < 24, 'it needs Node.js 24');
  const source = await openSource({}, { readers: 1, driver: 'node:sqlite' });
  const accounts = source.getRepository(Account);
  expect(await accounts.save({ name: 'Ada', cents: 1 })).toMatchObject({ id: 1 });
  await source.transaction(async (manager) => {
    const { affected } = await manager.update(Account, { id: 1 }, { cents: 2 });
    expect(affected).toBe(1);
  });
  expect(await accounts.find()).toEqual([{ id: 1, name: 'Ada', cents: 2 }]);
  expect(await source.query('SELECT count(*) AS n FROM account WHERE cents = ?', [2])).toEqual([
    { n: 1 },
  ]);
  const error = await accounts.insert({ id: 1, name: 'twice' }).catch((error) => error);
  expect(error).toBeInstanceOf(QueryFailedError);
  expect(error.driverError).toBeInstanceOf(SqliteError);
  expect(error.driverError.code).toBe('SQLITE_CONSTRAINT_PRIMARYKEY');
});
