import { poolite } from '@poolite/typeorm';
import Database from 'better-sqlite3';
import { DataSource, QueryFailedError } from 'typeorm';
import { describe, expect, test } from 'vitest';
import {
  Account,
  account,
  freshSources,
  initialized,
  NO_LIMITS,
  names,
  openSource,
  openStock,
  optionsOf,
  outcome,
  poolOf,
} from './support/db.ts';

const freshSource = freshSources();

const COMPARED: [sql: string, parameters?: unknown[]][] = [
  ["INSERT INTO account (name, cents) VALUES ('a', 1), ('b', 2)"],
  ["UPDATE account SET cents = 9 WHERE name = 'b'"],
  ["UPDATE account SET cents = 9 WHERE name = 'z'"],
  ["UPDATE account SET cents = 9 WHERE name = 'z' RETURNING id"],
  ["INSERT INTO account (name, cents) VALUES ('c', 1) RETURNING id, name"],
  ["INSERT INTO account (name, cents) VALUES ('returning', 1) -- returning"],
  ["WITH x AS (SELECT 'd' AS n) INSERT INTO account (name, cents) SELECT n, 0 FROM x"],
  ["REPLACE INTO account VALUES (1, 'aa', 5)"],
  ['DELETE FROM account WHERE id > 4;'],
  ['SELECT * FROM account ORDER BY id'],
  ['SELECT ? AS yes, ? AS no, ? AS nothing, ? AS big', [true, false, null, 12n]],
  ['SELECT ? AS missing', [undefined]],
  ['SELECT :a AS named, @b AS other', [{ a: 1, b: 'two' }]],
  ['SELECT ? AS bytes', [Buffer.from([0, 255])]],
  ["VALUES (1, x'00ff', NULL, 1.5)"],
  ['SELECT 1 AS a, 2 AS a'],
  ['CREATE INDEX by_name ON account (name)'],
  ['PRAGMA user_version = 3'],
  ['PRAGMA user_version'],
  ['PRAGMA foreign_keys'],
  ['PRAGMA busy_timeout'],
  ['PRAGMA table_info("account")'],
  ['PRAGMA index_list("account")'],
  ['EXPLAIN QUERY PLAN SELECT * FROM account WHERE id = 1'],
  ['SELECT last_insert_rowid() AS id, changes() AS n'],
  ['VACUUM'],
  ['ANALYZE'],
  ['SELECT * FROM missing'],
  ['SELEKT'],
  ['SELECT ?', []],
  ['SELECT 1; SELECT 2'],
  ['INSERT INTO account (name) VALUES (NULL)'],
  ['COMMIT'],
  ['ROLLBACK'],
  ['RELEASE nothing'],
];

async function results(
  source: DataSource,
  run: (sql: string, values?: unknown[]) => Promise<unknown>,
) {
  const all: unknown[] = [];
  for (const [sql, parameters] of COMPARED) {
    // No other process can have locked a database in memory: a pool waits for none.
    if (sql === 'PRAGMA busy_timeout' && source.options.database === ':memory:') continue;
    try {
      all.push([sql, await run(sql, parameters)]);
    } catch (error) {
      const { name, message, code, driverError } = error as QueryFailedError & { code: string };
      all.push([sql, name, message, code, driverError.constructor.name]);
    }
  }
  all.push(await source.getRepository(Account).find());
  return all;
}

describe('the same statements give what they give on better-sqlite3,', () => {
  test('each alone', async () => {
    const pool = await openSource();
    const stock = await openStock({ enableWAL: true });
    const [ours, theirs] = [pool, stock].map((source) =>
      results(source, (sql, values) => source.query(sql, values)),
    );
    expect(await ours).toEqual(await theirs);
  });

  test('by one query runner', async () => {
    const pool = await openSource();
    const stock = await openStock({ enableWAL: true });
    const [ours, theirs] = [pool, stock].map(async (source) => {
      const runner = source.createQueryRunner();
      const given = await results(source, (sql, values) => runner.query(sql, values, true));
      await runner.release();
      return given;
    });
    expect(await ours).toEqual(await theirs);
  });

  test('in memory', async () => {
    const pool = await openSource({ database: ':memory:' });
    const stock = await openStock({ database: ':memory:' });
    const [ours, theirs] = [pool, stock].map((source) =>
      results(source, (sql, values) => source.query(sql, values)),
    );
    expect(await ours).toEqual(await theirs);
  });
});

test('parameters by name are refused as TypeORM refuses them', async () => {
  const source = await freshSource();
  const named = source.createQueryRunner().query('SELECT :a', { a: 1 } as never);
  expect(await outcome(named)).toMatch(/NamedPlaceholdersNotSupportedError/);
});

test("an error holds SQLite's own, with its code", async () => {
  const source = await freshSource();
  const error = await source.query('SELECT * FROM missing').catch((thrown) => thrown);
  expect(error).toBeInstanceOf(QueryFailedError);
  expect(error.driverError).toBeInstanceOf(Database.SqliteError);
  expect(error.stack).toContain('queries.test.ts');
});

describe('a statement outside of transactions goes', () => {
  const counted = async (source: DataSource, work: () => Promise<unknown>) => {
    const before = poolOf(source).stats();
    await work();
    const after = poolOf(source).stats();
    const reads = (stats: typeof after) => stats.reads.inline + stats.reads.threaded;
    return {
      reads: reads(after) - reads(before),
      writes: after.writes.count - before.writes.count,
      rerouted: after.reads.rerouted - before.reads.rerouted,
    };
  };
  const toReader = { reads: 1, writes: 0, rerouted: 0 };
  const toWriter = { reads: 0, writes: 1, rerouted: 0 };
  const cases: [string, (source: DataSource) => Promise<unknown>, object][] = [
    ['find', (source) => source.getRepository(Account).find(), toReader],
    [
      'a select builder',
      (source) => source.createQueryBuilder(Account, 'a').getRawMany(),
      toReader,
    ],
    ['query of a SELECT', (source) => source.query('SELECT * FROM account'), toReader],
    [
      'query of WITH … SELECT',
      (source) => source.query('WITH x AS (SELECT 1) SELECT * FROM x'),
      toReader,
    ],
    ['query of a reading PRAGMA', (source) => source.query('PRAGMA table_info(account)'), toReader],
    [
      'an insert builder',
      (source) =>
        source
          .createQueryBuilder()
          .insert()
          .into(Account)
          .values(account('a'))
          .updateEntity(false)
          .execute(),
      toWriter,
    ],
    ['update', (source) => source.getRepository(Account).update(1, { cents: 1 }), toWriter],
    [
      'query of an INSERT',
      (source) => source.query("INSERT INTO account (name) VALUES ('a')"),
      toWriter,
    ],
  ];
  test.each(cases)('%s: %o', async (_, work, expected) => {
    const source = await freshSource();
    expect(await counted(source, () => work(source))).toEqual(expected);
  });

  test("to the writer where the data source's replication mode is 'master'", async () => {
    const options = { replication: { defaultMode: 'master' } } as object;
    const source = await openSource(options);
    const find = () => source.getRepository(Account).find();
    expect(await counted(source, find)).toMatchObject({ reads: 0 });
    const slave = source.createQueryRunner('slave');
    expect(slave.getReplicationMode()).toBe('slave');
    expect(await counted(source, () => slave.query('SELECT 1'))).toEqual(toReader);
    await slave.release();
  });
});

test('reads go on while a transaction is open and a slow read runs', async () => {
  const source = await openSource({}, { readers: 2 });
  const slow =
    'WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3e6) SELECT count(*) FROM n';
  let slowIsOver = false;
  const running = source.query(slow).then(() => {
    slowIsOver = true;
  });
  await source.transaction(async (manager) => {
    await manager.save(Account, account('inside'));
    expect(await names(source)).toEqual([]);
  });
  expect(await names(source)).toEqual(['inside']);
  expect(slowIsOver).toBe(false);
  await running;
});

describe('raw BEGIN', () => {
  test('holds the connection of its query runner until COMMIT', async () => {
    const source = await freshSource();
    const runner = source.createQueryRunner();
    await runner.query('BEGIN');
    await runner.query("INSERT INTO account (name) VALUES ('inside')");
    expect(await names(source)).toEqual([]);
    expect(await runner.query('SELECT name FROM account')).toEqual([{ name: 'inside' }]);
    expect(await outcome(source.query('DELETE FROM account'))).toBe('POOL_DEADLOCK');
    await runner.query('COMMIT');
    await source.query("INSERT INTO account (name) VALUES ('outside')");
    await runner.release();
    expect(await names(source)).toEqual(['inside', 'outside']);
  });

  test.each([
    'BEGIN',
    'begin transaction;',
    'BEGIN IMMEDIATE',
    'BEGIN EXCLUSIVE',
    'BEGIN DEFERRED',
    'SAVEPOINT a',
  ])('%s is rolled back where the runner is released', async (begin) => {
    const source = await freshSource();
    const runner = source.createQueryRunner();
    await runner.query(begin);
    await runner.query("INSERT INTO account (name) VALUES ('inside')");
    await runner.release();
    await source.getRepository(Account).save(account('after'));
    expect(await names(source)).toEqual(['after']);
  });

  test('of a data source lasts no longer than its query: nothing is left open', async () => {
    const source = await freshSource();
    await source.query('BEGIN');
    await source.getRepository(Account).save(account('after'));
    expect(await outcome(source.query('COMMIT'))).toBe('SQLITE_ERROR');
    expect(await names(source)).toEqual(['after']);
  });

  test('ROLLBACK, and ROLLBACK TO a savepoint', async () => {
    const source = await freshSource();
    const runner = source.createQueryRunner();
    const insert = (name: string) => runner.query('INSERT INTO account (name) VALUES (?)', [name]);
    await runner.query('BEGIN');
    await insert('undone');
    await runner.query('ROLLBACK');
    await runner.query('SAVEPOINT outer_one');
    await insert('kept');
    await runner.query('SAVEPOINT inner_one');
    await insert('undone');
    await runner.query('ROLLBACK TO inner_one');
    await runner.query('RELEASE outer_one');
    await source.getRepository(Account).save(account('after'));
    await runner.release();
    expect(await names(source)).toEqual(['kept', 'after']);
  });
});

describe('closing with work under way', () => {
  test('waits for transactions, writes and reads, and then nothing works any more', async () => {
    const source = await initialized(new DataSource(optionsOf({ driver: poolite(NO_LIMITS) })));
    const { database } = source.options as { database: string };
    const repository = source.getRepository(Account);
    const slow =
      'WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1e6) SELECT count(*) AS n FROM n';
    const read = source.query(slow);
    const writes = [repository.insert(account('one')), repository.insert(account('two'))];
    let closing: Promise<void> | undefined;
    const transaction = source.transaction(async (manager) => {
      await manager.save(Account, account('three'));
      closing = source.destroy();
      await manager.save(Account, account('four'));
    });
    await transaction;
    await closing;
    expect(await read).toEqual([{ n: 1_000_000 }]);
    await Promise.all(writes);
    await expect(source.query('SELECT 1')).rejects.toThrow(/The database connection is not open/);
    expect(source.isInitialized).toBe(false);
    const left = new Database(database);
    expect(left.prepare('SELECT count(*) FROM account').pluck().get()).toBe(4);
    left.close();
  });

  test('a data source may be initialized again', async () => {
    const source = await openSource();
    await source.getRepository(Account).save(account('before'));
    await source.destroy();
    await source.initialize();
    expect(await names(source)).toEqual(['before']);
  });
});
