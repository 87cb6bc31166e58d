import { mkdirSync, renameSync, symlinkSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join, relative } from 'node:path';
import { type createPool, type Pool, PoolError, type PoolOptions } from '@poolite/core';
import Database from 'better-sqlite3';
import { expect, onTestFinished, test } from 'vitest';
import { runScript } from './support/child.ts';
import { onNodeSqlite } from './support/engine.ts';
import { freshFile, freshFolder, openPool, outcome } from './support/folder.ts';

/** Threads of this process's pools; each has one port on this side. */
function threads(): number {
  return process.getActiveResourcesInfo().filter((each) => each === 'MessagePort').length;
}

async function quiet(): Promise<void> {
  // A port counts while something is under way.
  await expect.poll(threads).toBe(0);
}

async function table(pool: Pool): Promise<void> {
  await pool.exec('CREATE TABLE IF NOT EXISTS t (id INTEGER PRIMARY KEY, who TEXT)');
}

/** Whether two pools have their threads in common: then they count their work together. */
async function share(one: Pool, other: Pool): Promise<boolean> {
  await Promise.all([one.ready(), other.ready()]);
  const before = other.stats().writes.count;
  await one.run('CREATE TABLE IF NOT EXISTS shared (id)');
  return other.stats().writes.count > before;
}

const options: PoolOptions = { readers: 2, pragmas: { cache_size: 500 } };

test('a second pool with the same options shares the threads of the first', async () => {
  const file = freshFile();
  const one = openPool(file, options);
  const other = openPool(file, { pragmas: { cache_size: 500 }, readers: 2 });
  expect(await share(one, other)).toBe(true);
  expect(one).not.toBe(other);
  await table(one);
  await other.run('INSERT INTO t (id) VALUES (1)');
  expect(await one.get('SELECT id FROM t')).toEqual({ id: 1 });
});

test('closing one of them leaves the other working, and the last ends the threads', async () => {
  const file = freshFile();
  const pools = [openPool(file), openPool(file), openPool(file)];
  await table(pools[0] as Pool);
  for (const [i, pool] of pools.entries()) {
    await pool.run('INSERT INTO t (id) VALUES (?)', [i]);
    await pool.close();
    expect(await outcome(pool.get('SELECT 1'))).toBe('POOL_CLOSED');
    const next = pools[i + 1];
    if (next !== undefined) {
      expect(await next.get('SELECT max(id) AS id FROM t')).toEqual({ id: i });
      expect(next.stats().state).toBe('open');
    } else {
      expect(pool.stats().state).toBe('closed');
    }
  }
  await quiet();
});

test('what the closed one had under way is done', async () => {
  const file = freshFile();
  const [one, other] = [openPool(file), openPool(file)];
  await table(one);
  const writes = Array.from({ length: 50 }, (_, i) =>
    one.run('INSERT INTO t (id) VALUES (?)', [i]),
  );
  await one.close({ force: true });
  await Promise.all(writes);
  expect(await other.get('SELECT count(*) AS n FROM t')).toEqual({ n: 50 });
});

test('closing one twice does not close the other', async () => {
  const file = freshFile();
  const [one, other] = [openPool(file), openPool(file)];
  await Promise.all([one.close(), one.close()]);
  await one.close({ force: true });
  expect(await other.get('SELECT 1 AS one')).toEqual({ one: 1 });
});

const different: [name: string, one: PoolOptions, other: PoolOptions][] = [
  ['readers', { readers: 1 }, { readers: 2 }],
  ['synchronous', {}, { synchronous: 'full' }],
  ['pragmas', { pragmas: { cache_size: 1 } }, { pragmas: { cache_size: 2 } }],
  ['busyTimeout', { busyTimeout: 1 }, {}],
  ['retry', {}, { retry: { baseDelay: 7 } }],
  ['integers', {}, { integers: 'bigint' }],
  ['readonly', {}, { readonly: true }],
  ['selfWait', { selfWait: 'wait' }, {}],
];

for (const [name, first, second] of different) {
  test(`another value of ${name}: threads of its own, on the same data`, async () => {
    const file = freshFile();
    const one = openPool(file, first);
    await table(one);
    const other = openPool(file, second);
    expect(await share(one, other)).toBe(false);
    await one.run("INSERT INTO t (id, who) VALUES (1, 'one')");
    expect(await other.get('SELECT who FROM t')).toEqual({ who: 'one' });
    await one.close();
    expect(await other.get('SELECT who FROM t')).toEqual({ who: 'one' });
  });
}

test('defaults that are spelled out are the same options', async () => {
  const file = freshFile();
  const one = openPool(file);
  const other = openPool(file, { synchronous: 'normal', foreignKeys: true, busyTimeout: 5000 });
  expect(await share(one, other)).toBe(true);
});

test('both write at once through threads of their own, and nothing is lost', async () => {
  const file = freshFile();
  const [one, other] = [openPool(file, { readers: 1 }), openPool(file, { readers: 2 })];
  await table(one);
  const writes = Array.from({ length: 400 }, (_, i) =>
    (i % 2 === 0 ? one : other).run('INSERT INTO t (id) VALUES (?)', [i]),
  );
  await Promise.all(writes);
  expect(await one.get('SELECT count(*) AS n FROM t')).toEqual({ n: 400 });
});

const paths: Record<string, (file: string) => string> = {
  'a relative path': (file) => relative(process.cwd(), file),
  'a path with dots': (file) => join(dirname(file), 'x', '..', '.', 'test.db'),
  'a symbolic link to the file': (file) => {
    symlinkSync(file, `${file}.link`);
    return `${file}.link`;
  },
  'a symbolic link to its folder': (file) => {
    const folder = join(freshFolder(), 'link');
    symlinkSync(dirname(file), folder);
    return join(folder, 'test.db');
  },
};

for (const [name, other] of Object.entries(paths)) {
  for (const made of [true, false]) {
    // A link to a file that is not there names nothing yet.
    if (!made && name.endsWith('link to the file')) continue;
    test(`through ${name} it is the same file (${made ? 'made before' : 'not made yet'})`, async () => {
      const file = freshFile();
      if (made) {
        const db = new Database(file);
        db.exec('CREATE TABLE old (id)');
        db.close();
      }
      const one = openPool(file);
      const two = openPool(other(file));
      expect(await share(one, two)).toBe(true);
      await table(one);
      await two.run('INSERT INTO t (id) VALUES (1)');
      expect(await one.get('SELECT count(*) AS n FROM t')).toEqual({ n: 1 });
    });
  }
}

test('another file of the same name is another database', async () => {
  const folder = freshFolder();
  const file = join(folder, 'test.db');
  const one = openPool(file);
  await table(one);
  await one.close();
  mkdirSync(join(folder, 'old'));
  renameSync(file, join(folder, 'old', 'test.db'));
  const two = openPool(file);
  const old = openPool(join(folder, 'old', 'test.db'));
  expect(await share(two, old)).toBe(false);
  expect(await outcome(two.get('SELECT * FROM t'))).toBe('SQLITE_ERROR');
  expect(await old.all('SELECT * FROM t')).toEqual([]);
});

test('databases in memory are never shared', async () => {
  for (const file of [':memory:', '']) {
    const [one, other] = [openPool(file), openPool(file)];
    await table(one);
    expect(await outcome(other.get('SELECT * FROM t'))).toBe('SQLITE_ERROR');
  }
});

test('a pool that failed to open is not shared, nor is one that is closing', async () => {
  const folder = freshFolder();
  const file = join(folder, 'later', 'test.db');
  const one = openPool(file);
  await outcome(one.ready());
  mkdirSync(dirname(file));
  const two = openPool(file);
  await table(two);
  const closing = two.close();
  const three = openPool(file);
  await three.run('INSERT INTO t (id) VALUES (1)');
  await closing;
  expect(await three.get('SELECT count(*) AS n FROM t')).toEqual({ n: 1 });
});

test('a hot reload that makes a pool again and again does not gather threads', async () => {
  const file = freshFile();
  const made: Pool[] = [];
  onTestFinished(async () => {
    for (const pool of made) await pool.close({ force: true });
  });
  for (let i = 0; i < 5; i++) {
    const copy = (await import(`${import.meta.resolve('@poolite/core')}?reload=${i}`)) as {
      createPool: typeof createPool;
      PoolError: typeof PoolError;
    };
    if (i > 0) expect(copy.PoolError).not.toBe(PoolError);
    made.push(copy.createPool(file, { readers: 1 }));
  }
  const [first] = made as [Pool];
  for (const pool of made) expect(await share(first, pool)).toBe(true);
  for (const pool of made.slice(1)) await pool.close();
  expect(await first.get('SELECT 1 AS one')).toEqual({ one: 1 });
});

test('copies of the package in one process, ESM and CommonJS, leave no thread behind', async () => {
  const esm = import.meta.resolve('@poolite/core');
  const cjs = createRequire(import.meta.url).resolve('@poolite/core');
  const ended = await runScript(
    `
    import { createRequire } from 'node:module';
    import { readdirSync } from 'node:fs';
    const [file, esm, cjs, driver] = process.argv.slice(1);
    const tasks = () => readdirSync('/proc/self/task').length;
    const copies = [await import(esm), createRequire(esm)(cjs)];
    for (let i = 0; i < 4; i++) copies.push(await import(esm + '?reload=' + i));
    const pools = copies.map((copy) => copy.createPool(file, { readers: 1, driver }));
    const [first, second] = pools;
    await first.exec('CREATE TABLE t (id INTEGER PRIMARY KEY)');
    const before = process.platform === 'linux' ? tasks() : 0;
    const ids = pools.map((pool, i) => pool.run('INSERT INTO t VALUES (?)', [i]));
    await Promise.all(ids);
    await second.transaction((tx) => tx.run('INSERT INTO t VALUES (100)'));
    const error = await second.transaction(async (tx) => {
      await tx.get('SELECT 1');
      await second.run('DELETE FROM t');
    }).catch((error) => error);
    const failed = await second.run('INSERT INTO t VALUES (0)').catch((error) => error);
    const after = process.platform === 'linux' ? tasks() : 0;
    const told = {
      distinct: new Set(copies.map((copy) => copy.createPool)).size,
      shared: new Set(pools.map((pool) => pool.stats().writes.count)).size,
      more: after - before,
      deadlock: error.code,
      isPoolError: copies.map((copy) => copy.PoolError.is(error)),
      failed: failed.code,
    };
    for (const pool of pools.slice(1)) await pool.close();
    told.count = (await first.get('SELECT count(*) AS n FROM t')).n;
    await first.close();
    console.log(JSON.stringify(told));`,
    { args: [freshFile(), esm, cjs, onNodeSqlite ? 'node:sqlite' : 'better-sqlite3'] },
  );
  expect(ended.stderr).toBe('');
  expect(JSON.parse(ended.stdout)).toEqual({
    distinct: 6,
    shared: 1,
    more: 0,
    deadlock: 'POOL_DEADLOCK',
    isPoolError: [true, true, true, true, true, true],
    failed: 'SQLITE_CONSTRAINT_PRIMARYKEY',
    count: 7,
  });
  expect(ended.code).toBe(0);
});
