import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import Database from 'better-sqlite3';
import { EntitySchema, type MigrationInterface, type QueryRunner } from 'typeorm';
import { describe, expect, test } from 'vitest';
import {
  Account,
  account,
  freshFile,
  NO_LIMITS,
  names,
  openPool,
  openSource,
  outcome,
  poolOf,
} from './support/db.ts';

interface Child {
  id: number;
  parent: Account;
}

const Child = new EntitySchema<Child>({
  name: 'Child',
  tableName: 'child',
  columns: { id: { type: 'integer', primary: true, generated: true } },
  relations: { parent: { type: 'many-to-one', target: 'Account', onDelete: 'CASCADE' } },
});

const View = new EntitySchema({
  name: 'Rich',
  type: 'view',
  expression: 'SELECT name FROM account WHERE cents > 10',
  columns: { name: { type: 'varchar' } },
});

const foreignKeys = async (of: { query(sql: string): Promise<unknown> }) =>
  ((await of.query('PRAGMA foreign_keys')) as [{ foreign_keys: number }])[0].foreign_keys;

const entities = [Account, Child, View];

describe('synchronize', () => {
  test('makes tables and views, and finds nothing to change the second time', async () => {
    const source = await openSource({ entities });
    const { upQueries } = await source.driver.createSchemaBuilder().log();
    expect(upQueries).toEqual([]);
    const parent = await source.getRepository(Account).save(account('rich', 11));
    await source.getRepository(Child).save({ parent });
    expect(await source.getRepository(View).find()).toEqual([{ name: 'rich' }]);
  });

  test('rebuilds a table that others refer to without deleting their rows', async () => {
    const database = freshFile();
    const first = await openSource({ database, entities: [Account, Child] });
    const parent = await first.getRepository(Account).save(account('a'));
    await first.getRepository(Child).save({ parent });
    await first.destroy();
    const Changed = new EntitySchema({
      ...Account.options,
      columns: { ...Account.options.columns, cents: { type: 'integer', nullable: true } },
    } as never);
    const second = await openSource({ database, entities: [Changed, Child] });
    expect(await second.query('SELECT count(*) AS n FROM child')).toEqual([{ n: 1 }]);
    const [, , cents] = (await second.query('PRAGMA table_info(account)')) as { notnull: number }[];
    expect(cents?.notnull).toBe(0);
    expect(await foreignKeys(second)).toBe(1);
  });

  test('of many data sources on one file at once', async () => {
    const database = freshFile();
    const first = await openSource({ database, entities });
    const others = [1, 2, 3].map(() => openSource({ database, entities }, { readers: 1 }));
    await Promise.all(others);
    expect(await names(first)).toEqual([]);
  });
});

test('dropSchema and clearDatabase leave nothing, and foreign keys on', async () => {
  const database = freshFile();
  const first = await openSource({ database, entities });
  const parent = await first.getRepository(Account).save(account('a'));
  await first.getRepository(Child).save({ parent });
  await first.destroy();
  const second = await openSource({ database, entities, dropSchema: true }, NO_LIMITS);
  expect(await names(second)).toEqual([]);
  expect(await foreignKeys(second)).toBe(1);
  const runner = second.createQueryRunner();
  await runner.clearDatabase();
  await runner.release();
  expect(
    await second.query("SELECT name FROM sqlite_schema WHERE name NOT LIKE 'sqlite%'"),
  ).toEqual([]);
  await second.query('CREATE TABLE after (a)');
});

test('while a schema is cleared, nobody writes with foreign keys off', async () => {
  const source = await openSource({ entities }, NO_LIMITS);
  const orphan = () => outcome(source.query('INSERT INTO child ("parentId") VALUES (99)'));
  const clearing = source.synchronize(true);
  const outcomes = await Promise.all(Array.from({ length: 20 }, orphan));
  await clearing;
  for (const each of outcomes) expect(each).toMatch(/SQLITE_CONSTRAINT_FOREIGNKEY|SQLITE_ERROR/);
  expect(await orphan()).toBe('SQLITE_CONSTRAINT_FOREIGNKEY');
});

/** What the migrations of the running test met. */
let seen: unknown[] = [];

class First1700000000001 implements MigrationInterface {
  async up(runner: QueryRunner) {
    seen.push(['first', await foreignKeys(runner), runner.isTransactionActive]);
    await runner.query('CREATE TABLE parent (id INTEGER PRIMARY KEY)');
    await runner.query('CREATE TABLE kid (parent REFERENCES parent ON DELETE CASCADE)');
    await runner.query('INSERT INTO parent VALUES (1)');
    await runner.query('INSERT INTO kid VALUES (1)');
  }
  async down(runner: QueryRunner) {
    await runner.query('DROP TABLE kid');
    await runner.query('DROP TABLE parent');
  }
}

class Second1700000000002 implements MigrationInterface {
  async up(runner: QueryRunner) {
    seen.push(['second', await foreignKeys(runner), runner.isTransactionActive]);
    await rebuildParent(runner);
  }
  async down(runner: QueryRunner) {
    seen.push(['down', await foreignKeys(runner), runner.isTransactionActive]);
    await rebuildParent(runner);
  }
}

/** With foreign keys on, this would delete the kid. */
async function rebuildParent(runner: QueryRunner) {
  await runner.query('CREATE TABLE new_parent (id INTEGER PRIMARY KEY, name TEXT)');
  await runner.query('INSERT INTO new_parent (id) SELECT id FROM parent');
  await runner.query('DROP TABLE parent');
  await runner.query('ALTER TABLE new_parent RENAME TO parent');
}

class Failing1700000000003 implements MigrationInterface {
  async up(runner: QueryRunner) {
    await runner.query('CREATE TABLE half (a)');
    throw new Error('no');
  }
  async down() {}
}

describe('migrations', () => {
  const migrations = [First1700000000001, Second1700000000002];
  const open = (all: (new () => MigrationInterface)[] = migrations) => {
    seen = [];
    return openSource({ entities: [], synchronize: false, migrations: all }, NO_LIMITS);
  };
  const tables = async (source: { query(sql: string): Promise<unknown> }) =>
    (
      (await source.query("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name")) as {
        name: string;
      }[]
    )
      .map(({ name }) => name)
      .filter((name) => !name.startsWith('sqlite') && name !== 'migrations');

  test.each(['all', 'each'] as const)('with transactions for %s', async (transaction) => {
    const source = await open();
    const ran = await source.runMigrations({ transaction });
    expect(ran.map(({ name }) => name)).toEqual(['First1700000000001', 'Second1700000000002']);
    expect(seen).toEqual([
      ['first', 0, true],
      ['second', 0, true],
    ]);
    expect(await source.query('SELECT * FROM kid')).toEqual([{ parent: 1 }]);
    expect(await foreignKeys(source)).toBe(1);
    expect(await source.runMigrations({ transaction })).toEqual([]);
    expect(await source.showMigrations()).toBe(false);
  });

  test('with none: each statement stands alone, as TypeORM has it', async () => {
    const source = await open([First1700000000001]);
    await source.runMigrations({ transaction: 'none' });
    expect(seen).toEqual([['first', 1, false]]);
    expect(await tables(source)).toEqual(['kid', 'parent']);
  });

  test('that fail are undone: all of them, or the one', async () => {
    const all = [...migrations, Failing1700000000003];
    const together = await open(all);
    expect(await outcome(together.runMigrations({ transaction: 'all' }))).toBe('Error: no');
    expect(await tables(together)).toEqual([]);
    expect(await foreignKeys(together)).toBe(1);
    const apart = await open(all);
    expect(await outcome(apart.runMigrations({ transaction: 'each' }))).toBe('Error: no');
    expect(await tables(apart)).toEqual(['kid', 'parent']);
    expect(await foreignKeys(apart)).toBe(1);
  });

  test('that are reverted run with foreign keys off, too', async () => {
    const source = await open();
    await source.runMigrations();
    seen = [];
    await source.undoLastMigration();
    expect(seen).toEqual([['down', 0, true]]);
    expect(await source.query('SELECT * FROM kid')).toEqual([{ parent: 1 }]);
    expect(await foreignKeys(source)).toBe(1);
    await source.undoLastMigration();
    expect(await tables(source)).toEqual([]);
  });

  test('may take longer than a transaction', async () => {
    class Slow1700000000004 implements MigrationInterface {
      async up(runner: QueryRunner) {
        await runner.query('CREATE TABLE slow (a)');
        await new Promise((resolve) => setTimeout(resolve, 120));
        await runner.query('INSERT INTO slow VALUES (1)');
      }
      async down(runner: QueryRunner) {
        await new Promise((resolve) => setTimeout(resolve, 120));
        await runner.query('DROP TABLE slow');
      }
    }
    const options = { entities: [], synchronize: false, migrations: [Slow1700000000004] };
    const source = await openSource(options, { readers: 1, transactionTimeout: 60 });
    await source.runMigrations();
    expect(await tables(source)).toEqual(['slow']);
    await source.undoLastMigration();
    expect(await tables(source)).toEqual([]);
  });

  test('that write through the data source hear so at once', async () => {
    class Wrong1700000000005 implements MigrationInterface {
      async up(runner: QueryRunner) {
        seen.push(await outcome(runner.dataSource.query('CREATE TABLE beside (a)')));
      }
      async down() {}
    }
    const source = await open([Wrong1700000000005]);
    await source.runMigrations();
    expect(seen).toEqual(['POOL_DEADLOCK']);
  });
});

describe("an entity's own database", () => {
  const Elsewhere = new EntitySchema({
    name: 'Elsewhere',
    tableName: 'elsewhere',
    database: 'sub/other.db',
    columns: { id: { type: 'integer', primary: true, generated: true }, text: { type: 'varchar' } },
  });

  test('is attached to every connection, in WAL mode', async () => {
    const database = freshFile();
    const options = { database, entities: [Account, Elsewhere] };
    const source = await openSource(options, { readers: 2 });
    const repository = source.getRepository(Elsewhere);
    await repository.save({ text: 'a' });
    const other = join(dirname(database), 'sub/other.db');
    expect(existsSync(other)).toBe(true);
    const db = new Database(other, { readonly: true });
    expect(db.pragma('journal_mode', { simple: true })).toBe('wal');
    db.close();
    const reads = Array.from({ length: 8 }, () => repository.find());
    for (const rows of await Promise.all(reads)) expect(rows).toEqual([{ id: 1, text: 'a' }]);
    expect(poolOf(source).stats().reads.rerouted).toBe(0);
    await source.transaction(async (manager) => {
      await manager.save(Elsewhere, { text: 'b' });
      await manager.save(Account, account('c'));
    });
    expect(await repository.count()).toBe(2);
    const { upQueries } = await source.driver.createSchemaBuilder().log();
    expect(upQueries).toEqual([]);
    await source.synchronize(true);
    expect(await repository.count()).toBe(0);
  });

  test('cannot be had on a pool that is open already', async () => {
    const database = freshFile();
    const pool = openPool(database);
    const opening = openSource({ database, entities: [Elsewhere] }, pool);
    expect(await outcome(opening)).toBe('POOL_OPTIONS');
  });
});
