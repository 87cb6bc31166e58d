import { createRequire } from 'node:module';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { createPool } from '@poolite/core';
import { drizzle, PooliteDatabase } from '@poolite/drizzle';
import Database from 'better-sqlite3';
import { is, type Logger, sql } from 'drizzle-orm';
import { BaseSQLiteDatabase, integer, sqliteTable, text } from 'drizzle-orm/sqlite-core';
import { describe, expect, onTestFinished, test } from 'vitest';
import { freshFile, openBank, openPool, owner, schema } from './support/db.ts';

type Db = ReturnType<typeof drizzle>;

function closing<D extends { $client: Db['$client'] }>(db: D): D {
  onTestFinished(() => db.$client.close({ force: true }));
  return db;
}

describe('drizzle takes', () => {
  const forms: [form: string, open: (file: string) => Db][] = [
    ['a pool', (file) => drizzle(createPool(file))],
    ['a pool and a config', (file) => drizzle(createPool(file), { casing: 'snake_case' })],
    ['a path', (file) => drizzle(file)],
    ['a path and a config', (file) => drizzle(file, { logger: false })],
    ['{ pool }', (file) => drizzle({ pool: createPool(file) })],
    ['{ client }', (file) => drizzle({ client: createPool(file) })],
    ['{ connection: path }', (file) => drizzle({ connection: file, casing: 'camelCase' })],
    ['{ connection: { file } }', (file) => drizzle({ connection: { file, readers: 1 } })],
    ['a file: URL, as libsql does', (file) => drizzle(pathToFileURL(file).href)],
    ['a file: path, as libsql does', (file) => drizzle({ connection: `file:${file}` })],
  ];
  test.each(forms)('%s', async (_, open) => {
    const file = freshFile();
    const db = closing(open(file));
    expect(db).toBeInstanceOf(PooliteDatabase);
    expect(is(db, BaseSQLiteDatabase)).toBe(true);
    await db.run('CREATE TABLE made (n)');
    const other = new Database(file, { readonly: true });
    onTestFinished(() => void other.close());
    expect(other.prepare('SELECT name FROM sqlite_schema').get()).toEqual({ name: 'made' });
    expect(await db.$client.get('SELECT 1 AS n')).toEqual({ n: 1 });
  });

  test('a schema in each of them', async () => {
    const pool = openPool(':memory:');
    const dbs = [drizzle(pool, { schema }), drizzle({ pool, schema })] as const;
    for (const { query } of dbs) expect(Object.keys(query)).toEqual(['owner', 'account']);
  });

  test('the options of the pool with a connection', async () => {
    const connection = { file: freshFile(), synchronous: 'full', foreignKeys: false } as const;
    const db = closing(drizzle({ connection }));
    expect(await db.$client.query('PRAGMA synchronous', [], { access: 'write' })).toMatchObject({
      rows: [{ synchronous: 2 }],
    });
    expect(await db.get('PRAGMA foreign_keys')).toEqual({ foreign_keys: 0 });
  });

  test('a database in memory, also by a URL', async () => {
    for (const file of [':memory:', 'file::memory:']) {
      const db = closing(drizzle(file));
      expect(db.$client.file).toBe(':memory:');
      expect(await db.get('SELECT 1 AS n')).toEqual({ n: 1 });
    }
  });
});

/** A file that nobody can make. */
const NOWHERE = join('missing', 'folder', 'app.db');

describe('what cannot work is refused at once', () => {
  const pool = () => openPool(':memory:');
  const cases: [what: string, open: () => unknown, message: RegExp][] = [
    ['nothing', () => drizzle(undefined as never), /needs a pool, .* not undefined/],
    ['null', () => drizzle(null as never), /not null/],
    ['an empty config', () => drizzle({} as never), /one of 'pool', 'client' and 'connection'/],
    [
      'two of them',
      () => drizzle({ pool: pool(), connection: NOWHERE } as never),
      /was given 'pool' and 'connection'/,
    ],
    ['what is no pool', () => drizzle({ pool: {} } as never), /'pool' must be a pool/],
    ['what is no client', () => drizzle({ client: 1 } as never), /'client' must be a pool/],
    ['a pool beside a path', () => drizzle(NOWHERE, { pool: pool() } as never), /contradicts/],
    [
      'an option of the pool among those of Drizzle',
      () => drizzle(NOWHERE, { readers: 1 } as never),
      /unknown option 'readers' of drizzle.*createPool/,
    ],
    [
      'an unknown option of the pool',
      () => drizzle({ connection: { file: NOWHERE, url: '' } as never }),
      /unknown option 'url' of createPool/,
    ],
    [
      'a connection without a file',
      () => drizzle({ connection: { url: 'file:app.db' } as never }),
      /'connection' must be a path, or \{ file/,
    ],
    ['a server', () => drizzle('libsql://db.example.org'), /not a server \(libsql:\)/],
    ['a file of another host', () => drizzle('file://host/app.db'), /not of a host/],
    ['a config that is none', () => drizzle(NOWHERE, 1 as never), /must be an object, not number/],
  ];
  test.each(cases)('%s', (_, open, message) => {
    expect(open).toThrow(
      expect.objectContaining({ code: 'POOL_OPTIONS', message: expect.stringMatching(message) }),
    );
  });
});

test('a mock builds queries, and has no pool', async () => {
  const db = drizzle.mock({ schema });
  expect(db.select().from(owner).toSQL()).toEqual({
    sql: 'select "id", "name", "invited_by" from "owner"',
    params: [],
  });
  expect(db.$client).toBe('$client is not available on drizzle.mock()');
  await expect(db.select().from(owner)).rejects.toThrow();
});

test('casing turns the names of columns that have none', async () => {
  const db = drizzle(openPool(':memory:'), { casing: 'snake_case' });
  const camel = sqliteTable('camel', { firstName: text(), lastSeen: integer() });
  await db.run('CREATE TABLE camel (first_name TEXT, last_seen INTEGER)');
  await db.insert(camel).values({ firstName: 'Ada', lastSeen: 3 });
  expect(await db.select().from(camel)).toEqual([{ firstName: 'Ada', lastSeen: 3 }]);
});

test('the logger hears of every query, with its values, wherever it runs', async () => {
  const heard: unknown[] = [];
  const logger: Logger = { logQuery: (query, params) => heard.push([query, params]) };
  const { db } = await openBank({ logger });
  await db.run(sql`UPDATE owner SET name = ${'Ada'} WHERE id = ${1}`);
  const byId = db
    .select({ n: owner.name })
    .from(owner)
    .where(sql`id = ${sql.placeholder('id')}`);
  await byId.prepare().get({ id: 2 });
  await db.transaction((tx) => tx.query.owner.findFirst({ columns: { id: true } }));
  await db.batch([db.run(sql`DELETE FROM account WHERE id = ${9}`)]);
  expect(heard).toEqual([
    ['UPDATE owner SET name = ? WHERE id = ?', ['Ada', 1]],
    ['select "name" from "owner" where id = ?', [2]],
    ['select "id" from "owner" "owner" limit ?', [1]],
    ['DELETE FROM account WHERE id = ?', [9]],
  ]);
});

test('the CommonJS build is the same', async () => {
  const require = createRequire(import.meta.url);
  const common = require('@poolite/drizzle') as typeof import('@poolite/drizzle');
  const migrator = require('@poolite/drizzle/migrator') as { migrate: unknown };
  expect(typeof migrator.migrate).toBe('function');
  const db = common.drizzle(join(freshFile()));
  expect(await db.all(sql`SELECT ${1} AS n`)).toEqual([{ n: 1 }]);
  await db.$client.close();
});
