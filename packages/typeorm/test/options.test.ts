import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { inspect } from 'node:util';
import { createPool } from '@poolite/core';
import { PooliteDataSource, type PooliteDataSourceOptions, poolite } from '@poolite/typeorm';
import Database from 'better-sqlite3';
import { DataSource } from 'typeorm';
import { describe, expect, onTestFinished, test } from 'vitest';
import {
  Account,
  account,
  freshFile,
  initialized,
  names,
  type Options,
  openPool,
  openSource,
  optionsOf,
  outcome,
  poolOf,
} from './support/db.ts';

describe('options of the data source that a pool cannot honour are refused, with the reason', () => {
  const cases: [option: string, options: Options, message: RegExp][] = [
    ['verbose', { verbose: () => {} }, /use `logging`/],
    ['nativeBinding', { nativeBinding: 'x.node' }, /poolite\(\{ driver \}\)/],
    ['poolSize', { poolSize: 4 } as object, /poolite\(\{ readers \}\)/],
    ['enableWAL', { enableWAL: false }, /a pool needs WAL/],
    ['statementCacheSize', { statementCacheSize: -1 }, /a number from 0/],
    ['fileMustExist', { fileMustExist: true }, /is not there/],
    ['key', { key: 'secret' }, /does not encrypt/],
  ];
  test.each(cases)('%s', async (_, options, message) => {
    await expect(openSource(options)).rejects.toThrow(message);
  });

  test.each<[string, (db: never) => unknown, RegExp]>([
    ['a function', (db: Database.Database) => db.function('f', () => 1), /db\.function/],
    ['a property', (db: Database.Database) => db.inTransaction, /db\.inTransaction/],
    ['a question', (db: Database.Database) => db.pragma('user_version'), /PRAGMA user_version/],
    ['journal_mode', (db: Database.Database) => db.pragma('journal_mode = DELETE'), /needs WAL/],
    ['busy_timeout', (db: Database.Database) => db.pragma('busy_timeout = 1'), /'timeout'/],
  ])('prepareDatabase: %s', async (_, prepare, message) => {
    const prepareDatabase = prepare as (db: unknown) => void;
    await expect(openSource({ prepareDatabase })).rejects.toThrow(message);
  });
});

describe('options of the data source that a pool honours', () => {
  test('timeout: how long a lock of another process is waited for', async () => {
    const source = await openSource({ timeout: 50 });
    expect(await source.query('PRAGMA busy_timeout')).toEqual([{ timeout: 50 }]);
    const other = new Database(String(source.options.database));
    onTestFinished(() => void other.close());
    other.exec('BEGIN IMMEDIATE');
    const insert = () => source.getRepository(Account).insert(account('a'));
    expect(await outcome(insert())).toBe('SQLITE_BUSY');
    other.exec('ROLLBACK');
    await insert();
  });

  test('readonly: reads, transactions that read, and no writes', async () => {
    const database = freshFile();
    const first = await openSource({ database });
    await first.getRepository(Account).save(account('a'));
    await first.destroy();
    const options = { database, readonly: true, synchronize: false };
    const source = await openSource(options);
    expect(await names(source)).toEqual(['a']);
    await source.transaction(async (manager) => expect(await manager.count(Account)).toBe(1));
    expect(await outcome(source.getRepository(Account).insert(account('b')))).toMatch(
      /^SQLITE_READONLY/,
    );
    const missing = openSource({ ...options, database: freshFile() });
    expect(await outcome(missing)).toBe('SQLITE_CANTOPEN');
  });

  test('fileMustExist, of a file that does', async () => {
    const database = freshFile();
    writeFileSync(database, '');
    await openSource({ database, fileMustExist: true });
  });

  test('enableWAL and statementCacheSize', async () => {
    const source = await openSource({ enableWAL: true, statementCacheSize: 10 });
    expect(await source.query('PRAGMA journal_mode')).toEqual([{ journal_mode: 'wal' }]);
  });

  test('prepareDatabase: pragmas and scripts, on every connection', async () => {
    const prepareDatabase = async (db: unknown) => {
      const database = db as Database.Database;
      database.pragma('journal_mode = WAL');
      database.pragma('temp_store = memory');
      database.exec('CREATE TABLE IF NOT EXISTS prepared (a)').exec('PRAGMA cache_size = 123');
    };
    const source = await openSource({ prepareDatabase }, { readers: 1, inlineReads: 'off' });
    const pool = poolOf(source);
    for (const access of ['read', 'write'] as const) {
      const lease = await pool.lease(access);
      expect(await lease.values('PRAGMA temp_store')).toEqual([[2]]);
      expect(await lease.values('PRAGMA cache_size')).toEqual([[123]]);
      await lease.release();
    }
    expect(await source.query('SELECT * FROM prepared')).toEqual([]);
  });

  test('key: on every connection, where the library encrypts', async () => {
    const driver = createRequire(import.meta.url).resolve('better-sqlite3-multiple-ciphers');
    const database = freshFile();
    const open = (key?: string) =>
      openSource({ database, ...(key === undefined ? {} : { key }) }, { readers: 2, driver });
    const source = await open('se"cr\'et');
    await source.getRepository(Account).save(account('a'));
    const reads = Array.from({ length: 6 }, () => names(source));
    expect(await Promise.all(reads)).toEqual(Array.from({ length: 6 }, () => ['a']));
    await source.destroy();
    expect(readFileSync(database).toString('latin1')).not.toContain('SQLite format 3');
    for (const wrong of ['other', undefined])
      expect(await outcome(open(wrong))).toBe('SQLITE_NOTADB');
    expect(await names(await open('se"cr\'et'))).toEqual(['a']);
  });

  test('key: no error shows it', async () => {
    for (const setup of ['./is-not-there.js', undefined]) {
      const opening = openSource({ key: 'secret-4711' }, setup === undefined ? {} : { setup });
      const error = await opening.then(
        () => undefined,
        (thrown: unknown) => thrown,
      );
      expect(error).toBeInstanceOf(Error);
      expect(inspect(error, { depth: 10 })).not.toContain('4711');
    }
  });

  test('a folder that is not there is made', async () => {
    const database = join(dirname(freshFile()), 'a', 'b', 'c.db');
    await openSource({ database });
    expect(existsSync(database)).toBe(true);
  });
});

describe('options of the pool', () => {
  test("a setup module runs before the driver's own work", async () => {
    const file = freshFile();
    const setup = join(dirname(file), 'setup.mjs');
    writeFileSync(setup, 'export default (db) => { db.function("twice", (x) => 2 * x); };');
    const prepareDatabase = (db: unknown) => {
      (db as Database.Database).exec('SELECT twice(1)');
    };
    const options = { database: file, prepareDatabase };
    const source = await openSource(options, { readers: 1, setup });
    expect(await source.query('SELECT twice(21) AS n')).toEqual([{ n: 42 }]);
    await source.transaction(async (manager) => {
      expect(await manager.query('SELECT twice(4) AS n')).toEqual([{ n: 8 }]);
    });
  });

  const refused: [what: string, options: Options, config: unknown, message: RegExp][] = [
    ['unknown', {}, { reader: 1 }, /unknown option 'reader'/],
    ['contradicting timeout', { timeout: 1 }, { busyTimeout: 2 }, /give one of them/],
    ['contradicting readonly', { readonly: true }, { readonly: false }, /give one of them/],
    ['no options', {}, 'app.db', /options of a pool/],
  ];
  test.each(refused)('%s: refused', async (_, options, config, message) => {
    await expect(openSource(options, config as object)).rejects.toThrow(message);
  });

  test('bigints: generated ids are numbers all the same', async () => {
    const source = await openSource({}, { readers: 1, integers: 'auto' });
    const saved = await source.getRepository(Account).save(account('a'));
    expect(saved.id).toBe(1);
    const [row] = await source.query('SELECT 9007199254740993 AS big');
    expect(row).toEqual({ big: 9007199254740993n });
  });
});

describe('a pool that there is', () => {
  test('stays open when the data source is destroyed', async () => {
    const database = freshFile();
    const pool = openPool(database);
    const source = await openSource({ database }, pool);
    expect(poolOf(source)).toBe(pool);
    await source.getRepository(Account).save(account('a'));
    await source.destroy();
    expect(await pool.get('SELECT name FROM account')).toEqual({ name: 'a' });
    await expect(source.query('SELECT 1')).rejects.toThrow(/The database connection is not open/);
  });

  test.each<[string, Options]>([
    ['timeout', { timeout: 1 }],
    ['readonly', { readonly: true }],
    ['key', { key: 'x' }],
    ['prepareDatabase', { prepareDatabase: () => {} }],
  ])('comes too late for the option %s', async (name, options) => {
    const database = freshFile();
    const opening = openSource({ database, ...options }, openPool(database));
    await expect(opening).rejects.toThrow(new RegExp(`option '${name}'.*too late`));
  });

  test('must be on the file that the data source names', async () => {
    await expect(openSource({}, openPool(freshFile()))).rejects.toThrow(/and the pool is on/);
    await openSource({ database: ':memory:' }, openPool(':memory:'));
  });
});

describe('PooliteDataSource, the door that patches nothing,', () => {
  test('takes the options of a data source, and those of a pool', async () => {
    const options = optionsOf() as PooliteDataSourceOptions;
    const source = await initialized(new PooliteDataSource({ ...options, pool: { readers: 1 } }));
    expect(source).toBeInstanceOf(DataSource);
    await source.transaction((manager) => manager.save(Account, account('a')));
    expect(await names(source)).toEqual(['a']);
    expect(poolOf(source).stats().readers).toBe(1);
  });

  test('takes a pool, and works with a cache', async () => {
    const database = freshFile();
    const pool = createPool(database);
    onTestFinished(() => pool.close());
    const source = await initialized(
      new PooliteDataSource({
        database,
        entities: [Account],
        synchronize: true,
        cache: true,
        pool,
      }),
    );
    const cached = () => source.createQueryBuilder(Account, 'a').cache(60_000).getCount();
    expect([await cached(), await cached()]).toEqual([0, 0]);
  });
});

test('a data source without poolite() keeps the driver of TypeORM', async () => {
  poolite();
  const source = await initialized(new DataSource(optionsOf()));
  expect(source.driver.constructor.name).toBe('BetterSqlite3Driver');
  await source.getRepository(Account).save(account('a'));
  expect(await names(source)).toEqual(['a']);
});

test('a file that is no database is told of when the data source is initialized', async () => {
  const database = freshFile();
  writeFileSync(
    database,
    'no database, but a text that is longer than a hundred bytes. '.repeat(9),
  );
  expect(await outcome(openSource({ database }))).toBe('SQLITE_NOTADB');
});
