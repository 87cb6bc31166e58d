import 'reflect-metadata';
import { PooliteDataSource } from '@poolite/typeorm';
import { EntitySchema, type MigrationInterface, type QueryRunner } from 'typeorm';
import { describe, expect, onTestFinished, test } from 'vitest';
import { hold, type Machine, twoMachines } from '../support/two-machines.ts';
import { ACCOUNTS, CONFLICT, names, overtake, tables, twoBanks } from './bank.ts';

describe('TypeORM', () => {
  interface Person {
    id: number;
    name: string;
    cents: number;
    euros: number;
    payments: Payment[];
    friends: Person[];
  }
  interface Payment {
    id: string;
    cents: number;
    of: Person;
  }

  const account = (more: object = {}) =>
    new EntitySchema<Person>({
      name: 'Person',
      tableName: 'account',
      columns: {
        id: { type: 'integer', primary: true, generated: true },
        name: { type: 'varchar', unique: true },
        cents: { type: 'integer', default: 0, ...more },
        euros: {
          type: 'real',
          ...{ asExpression: 'cents / 100.0', generatedType: 'VIRTUAL' },
          ...{ nullable: true, insert: false, update: false },
        },
      },
      relations: {
        payments: { type: 'one-to-many', target: 'Payment', inverseSide: 'of' },
        friends: { type: 'many-to-many', target: 'Person', joinTable: true },
      },
    });
  const Payment = new EntitySchema<Payment>({
    name: 'Payment',
    tableName: 'payment',
    columns: {
      id: { type: 'varchar', primary: true, generated: 'uuid' },
      cents: { type: 'integer' },
    },
    relations: {
      of: { type: 'many-to-one', target: 'Person', inverseSide: 'payments', onDelete: 'CASCADE' },
    },
  });
  const Rich = new EntitySchema({
    name: 'Rich',
    type: 'view',
    expression: 'SELECT name FROM account WHERE cents > 10',
    columns: { name: { type: 'varchar' } },
  });

  class Accounts1700000000001 implements MigrationInterface {
    async up(runner: QueryRunner): Promise<void> {
      await runner.query(ACCOUNTS);
      await runner.query("INSERT INTO account (name) VALUES ('Ada')");
    }
    async down(): Promise<void> {}
  }
  class Payments1700000000002 implements MigrationInterface {
    async up(runner: QueryRunner): Promise<void> {
      await runner.query('CREATE TABLE payment (id INTEGER PRIMARY KEY)');
    }
    async down(): Promise<void> {}
  }

  const on = async ({ pool }: Machine, entities = [account(), Payment, Rich]) => {
    const migrations = [Accounts1700000000001, Payments1700000000002];
    const options = { database: pool.file, pool, entities, migrations };
    const source = await new PooliteDataSource(options).initialize();
    onTestFinished(() => source.destroy());
    return source;
  };
  const MIGRATED = { account: 1, migrations: 2, payment: 0, typeorm_metadata: 0 };

  describe.each(['all', 'each'] as const)('with transaction: %o', (transaction) => {
    test('migrates on one machine, and the other has it', async () => {
      const [a, b] = twoMachines();
      expect(await (await on(a)).runMigrations({ transaction })).toHaveLength(2);
      await b.pool.refresh();
      expect(await tables(b)).toEqual(MIGRATED);
      expect(await (await on(b)).runMigrations({ transaction })).toEqual([]);
    });

    // The first two entries are the tables that TypeORM makes for itself.
    test.for([1, 2])('finds all done where another was first with entry %i', async (entry) => {
      const [a, b] = twoMachines();
      const held = hold(b, entry);
      const second = (await on(b)).runMigrations({ transaction });
      await held.reached;
      await (await on(a)).runMigrations({ transaction });
      held.go();
      expect(await second).toEqual([]);
      expect(await tables(b)).toEqual(MIGRATED);
    });

    test('tells of POOL_CONFLICT where another machine was first to migrate, and has nothing to do then', async () => {
      const [a, b] = twoMachines();
      const held = hold(b, 3);
      const source = await on(b);
      const second = source.runMigrations({ transaction });
      second.catch(() => {});
      await held.reached;
      expect(await (await on(a)).runMigrations({ transaction })).toHaveLength(2);
      held.go();
      await expect(second).rejects.toEqual(CONFLICT);
      expect(await source.runMigrations({ transaction })).toEqual([]);
      expect(await tables(b)).toEqual(MIGRATED);
    });
  });

  test('synchronizes entities, a view and a generated column; the other machine finds nothing to change', async () => {
    const [a, b] = twoMachines();
    await (await on(a)).synchronize();
    await b.pool.refresh();
    const source = await on(b);
    expect((await source.driver.createSchemaBuilder().log()).upQueries).toEqual([]);

    const people = source.getRepository<Person>('Person');
    const [ada, bob] = await people.save([{ name: 'Ada', cents: 1250 }, { name: 'Bob' }]);
    await source.getRepository('Payment').save({ of: ada, cents: 7 });
    await people.save({ ...bob, friends: [ada as Person] });
    await source.transaction(async (manager) => {
      const undone = manager.transaction(async (inner) => {
        await inner.getRepository('Person').deleteAll();
        throw new Error('undone');
      });
      await expect(undone).rejects.toThrow('undone');
      await manager.update('Person', { name: 'Bob' }, { cents: 1 });
    });
    await a.pool.refresh();
    const other = await on(a);
    const find = { relations: { payments: true, friends: true }, order: { id: 'ASC' } } as const;
    expect(await other.getRepository<Person>('Person').find(find)).toEqual([
      { ...ada, euros: 12.5, payments: [{ id: expect.any(String), cents: 7 }], friends: [] },
      {
        ...bob,
        cents: 1,
        euros: 0.01,
        payments: [],
        friends: [expect.objectContaining({ name: 'Ada' })],
      },
    ]);
    expect(await other.getRepository('Rich').find()).toEqual([{ name: 'Ada' }]);

    await source.dropDatabase();
    await a.pool.refresh();
    expect(await tables(a)).toEqual({});
  });

  test('makes a table anew on both where an entity has changed, and the rows that refer to it stay', async () => {
    const [a, b] = twoMachines();
    const source = await on(a, [account(), Payment]);
    await source.synchronize();
    const ada = await source.getRepository('Person').save({ name: 'Ada' });
    await source.getRepository('Payment').save({ of: ada, cents: 7 });
    await b.pool.refresh();
    await (await on(b, [account({ default: 5 }), Payment])).synchronize();
    await a.pool.refresh();
    await source.query("INSERT INTO account (name) VALUES ('Bob')");
    expect(await names(a)).toEqual(['Ada 0', 'Bob 5']);
    expect(await tables(a)).toMatchObject({ account: 2, payment: 1 });
  });

  test('tells of POOL_CONFLICT where another machine was first to synchronize, and has nothing to do then', async () => {
    const [a, b] = twoMachines();
    const held = hold(b);
    const source = await on(b);
    const second = source.synchronize();
    second.catch(() => {});
    await held.reached;
    await (await on(a)).synchronize();
    held.go();
    await expect(second).rejects.toEqual(CONFLICT);
    await source.synchronize();
    expect(await tables(b)).toEqual(await tables(a));
  });

  test('tells of POOL_CONFLICT at the end of a transaction, and nothing of it is stored', async () => {
    const [a, b] = await twoBanks();
    const source = await on(a);
    const pay = (first: boolean) =>
      source.transaction(async (manager) => {
        await manager.query('UPDATE account SET cents = cents + 1');
        if (first) await overtake(b);
      });
    await expect(pay(true)).rejects.toEqual(CONFLICT);
    expect(await names(a)).toEqual(['Ada! 0']);
    await pay(false);
    await b.pool.refresh();
    expect(await names(b)).toEqual(['Ada! 1']);
  });
});
