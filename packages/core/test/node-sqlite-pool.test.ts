import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  createPool,
  listBackups,
  type PoolOptions,
  restoreBackup,
  SqliteError,
} from '@poolite/core';
import { describe, expect, test } from 'vitest';
import { whyNotHere } from '../src/threads/node-sqlite.js';
import { runScript } from './support/child.ts';
import { ENDLESS, isHooked } from './support/endless.ts';
import {
  failure,
  freshFile,
  freshFolder,
  openPool,
  outcome,
  writeModule,
} from './support/folder.ts';
import { inline } from './support/inline.ts';
import { fileOf } from './support/observer.ts';

const tooOld = whyNotHere();
if (tooOld !== undefined) console.log(`node:sqlite is not tried: ${tooOld}`);

const NODE: PoolOptions = { driver: 'node:sqlite' };
const BETTER: PoolOptions = { driver: 'better-sqlite3' };
const LARGE = 9_007_199_254_740_993n;

describe.skipIf(tooOld !== undefined)('a pool on node:sqlite', () => {
  test('needs no better-sqlite3: nothing of it is loaded, whatever the pool does', async () => {
    const folder = freshFolder();
    const ended = await runScript(
      `import { createPool, listBackups, restoreBackup, verifyBackup } from '@poolite/core';
      import { createRequire } from 'node:module';
      const [folder] = process.argv.slice(1);
      const driver = 'node:sqlite';
      const file = folder + '/app.db';
      const pool = createPool(file, { driver, writer: 'shared', backups: { directory: folder + '/kept' } });
      await pool.exec('CREATE TABLE t (a UNIQUE)');
      await Promise.all([1, 2, 3].map((n) => pool.run('INSERT INTO t VALUES (?)', [n])));
      await pool.transaction((tx) => tx.run('INSERT INTO t VALUES (4)'));
      const twice = await pool.run('INSERT INTO t VALUES (4)').catch((error) => error.code);
      while (pool.stats().reads.inline === 0) await pool.get('SELECT * FROM t WHERE a = ?', [1]);
      await pool.get('SELECT count(*) FROM t', [], { timeout: 60_000 });
      await pool.checkpoint('TRUNCATE');
      await pool.backup(folder + '/copy.db');
      await (await pool.backups.requestBackup()).done;
      await pool.close();
      const [kept] = await listBackups(folder + '/kept', { driver, verify: 'full' });
      const { verdict } = await verifyBackup(folder + '/copy.db', { driver });
      await restoreBackup(folder + '/copy.db', file, { driver });
      const loaded = [
        ...process.report.getReport().sharedObjects,
        ...Object.keys(createRequire(import.meta.url).cache ?? {}),
      ].filter((path) => /better.?sqlite/.test(path));
      console.log(JSON.stringify({ twice, kept: kept.verdict, verdict, loaded }));`,
      { args: [folder] },
    );
    expect(ended).toMatchObject({ code: 0, stderr: '' });
    expect(JSON.parse(ended.stdout)).toEqual({
      twice: 'SQLITE_CONSTRAINT_UNIQUE',
      kept: 'ok',
      verdict: 'ok',
      loaded: [],
    });
  });

  test('gives integers beyond 2^53 as the option says, from threads and from here', async () => {
    for (const [integers, expected] of [
      ['number', Number(LARGE)],
      ['bigint', LARGE],
      ['auto', LARGE],
    ] as const) {
      const pool = openPool(freshFile(), { ...NODE, integers });
      await pool.exec('CREATE TABLE t (id INTEGER PRIMARY KEY, a)');
      const { lastInsertRowid } = await pool.run("INSERT INTO t VALUES (?, x'01')", [LARGE]);
      expect(lastInsertRowid).toBe(expected);
      const row = { id: expected, a: Buffer.from([1]) };
      expect(await pool.all('SELECT * FROM t')).toEqual([row]);
      expect(await inline(() => pool.all('SELECT * FROM t'), pool)).toEqual([row]);
      const streamed = [];
      for await (const each of pool.iterate('SELECT * FROM t')) streamed.push(each);
      expect(streamed).toEqual([row]);
      expect(Object.getPrototypeOf(streamed[0])).toBe(Object.prototype);
      await pool.close();
    }
  });

  test('raises SqliteError, with the caller’s own lines in the stack', async () => {
    const pool = openPool(freshFile(), NODE);
    await pool.exec('CREATE TABLE t (a UNIQUE); INSERT INTO t VALUES (1)');
    async function insertTwice(): Promise<void> {
      await pool.run('INSERT INTO t VALUES (1)');
    }
    const error = await failure(insertTwice());
    expect(error).toBeInstanceOf(SqliteError);
    expect(error).toMatchObject({
      name: 'SqliteError',
      code: 'SQLITE_CONSTRAINT_UNIQUE',
      message: 'UNIQUE constraint failed: t.a',
    });
    expect(error.stack).toContain('insertTwice');
    expect(error.stack).toContain(fileOf(import.meta));
  });

  test.skipIf(!isHooked)(
    'interrupts a running statement, and tells what its commits changed',
    async () => {
      const pool = openPool(freshFile(), { ...NODE, readers: 1 });
      await pool.exec('CREATE TABLE t (a)');
      expect(pool.stats().hooks).toMatchObject({ loaded: true });
      const changed = new Promise((resolve) => pool.on('change', resolve));
      await pool.run('INSERT INTO t VALUES (1)');
      expect(JSON.stringify(await changed)).toContain('"t"');
      expect(await outcome(pool.get(ENDLESS, [], { timeout: 20 }))).toBe('POOL_TIMEOUT');
      expect(await pool.get('SELECT a FROM t')).toEqual({ a: 1 });
      expect(pool.stats()).toMatchObject({ threadsLost: 0, threadsRetired: 0 });
    },
  );

  test('hands Node’s own connection to the setup module', async () => {
    const file = freshFile();
    const setup = writeModule(
      file,
      'setup.mjs',
      `import { DatabaseSync } from 'node:sqlite';
      export default (db) => {
        const isNodes = db instanceof DatabaseSync ? 1 : 0;
        db.function('is_nodes', () => isNodes);
      };`,
    );
    const pool = openPool(file, { ...NODE, setup });
    expect(await pool.get('SELECT is_nodes() AS yes')).toEqual({ yes: 1 });
    expect(await pool.get('SELECT is_nodes() AS yes', [], { access: 'write' })).toEqual({ yes: 1 });
  });

  test('has the settings that better-sqlite3’s SQLite is built with', async () => {
    const ask = async (options: PoolOptions) => {
      const pool = openPool(freshFile(), options);
      const names = ['foreign_keys', 'synchronous', 'cache_size', 'journal_mode', 'temp_store'];
      names.push('recursive_triggers', 'page_size', 'auto_vacuum', 'mmap_size', 'secure_delete');
      const values = [];
      for (const name of names) {
        values.push(await pool.values(`PRAGMA ${name}`, [], { access: 'write' }));
        if (name !== 'synchronous') values.push(await pool.values(`PRAGMA ${name}`));
      }
      values.push(await outcome(pool.get('SELECT "no column"')));
      values.push(
        await outcome(pool.exec('PRAGMA writable_schema = 1; DELETE FROM sqlite_schema')),
      );
      await pool.close();
      return values;
    };
    expect(await ask(NODE)).toEqual(await ask(BETTER));
  });

  const others: Record<string, (file: string, folder: string) => Promise<unknown>> = {
    'a second pool': async (file) => createPool(file, BETTER),
    'a second pool by a URI': async (file) => createPool(`file:${file}?mode=rw`, BETTER),
    'a restore': (file, folder) => restoreBackup(join(folder, 'copy'), file, BETTER),
  };
  test.each(Object.entries(others))(
    '%s with another library is refused while it is open',
    async (_, open) => {
      const folder = freshFolder();
      const file = join(folder, 'app.db');
      const pool = openPool(file, NODE);
      await pool.exec('CREATE TABLE t (a)');
      await pool.backup(join(folder, 'copy'));
      const error = await failure(open(file, folder));
      expect(error).toMatchObject({ code: 'POOL_OPTIONS' });
      for (const named of ["'node:sqlite'", "'better-sqlite3'", file])
        expect(error.message).toContain(named);
      expect(await outcome(pool.run('INSERT INTO t VALUES (1)'))).toBe('resolved');
    },
  );

  test('another library may have the file once it is closed, and one pool does not wait for others', async () => {
    const file = freshFile();
    const [first, second] = [openPool(file, NODE), openPool(file, { ...NODE, readers: 1 })];
    await first.exec('CREATE TABLE t (a)');
    await first.close();
    expect(() => createPool(file, BETTER)).toThrow(/one driver for it, or close the other first/);
    await second.close();
    const third = openPool(file, BETTER);
    await third.run('INSERT INTO t VALUES (1)');
    expect(() => createPool(file, NODE)).toThrow(/'better-sqlite3'/);
    await third.close();
    expect(await openPool(file, NODE).get('SELECT * FROM t')).toEqual({ a: 1 });
  });

  test('tells of a file that cannot be opened as better-sqlite3 does', async () => {
    const folder = freshFolder();
    writeFileSync(join(folder, 'no-database'), 'x'.repeat(4096));
    const told = async (options: PoolOptions) => {
      const errors = [];
      for (const name of ['no-database', 'no/folder/app.db', '.', 'missing.db']) {
        const readonly = name === 'missing.db';
        const pool = createPool(join(folder, name), { ...options, readonly });
        const { code, name: kind, message } = await failure(pool.ready());
        errors.push([kind, code, message]);
        await pool.close();
      }
      return errors;
    };
    expect(await told(NODE)).toEqual(await told(BETTER));
  });

  test('lists of backups are made with the driver that is named', async () => {
    expect(await outcome(listBackups(freshFolder(), NODE))).toBe('resolved');
    expect(await outcome(listBackups(freshFolder(), { driver: 7 as never }))).toBe('POOL_OPTIONS');
  });
});

test('where Node.js has no SQLite, the option is refused at once, and nothing else is', async () => {
  const ended = await runScript(
    `import { createPool } from '@poolite/core';
    try {
      createPool(':memory:', { driver: 'node:sqlite' });
    } catch (error) {
      console.log(error.code, error.message);
    }
    const pool = createPool(':memory:', { driver: 'better-sqlite3' });
    console.log(await pool.get('SELECT 1 AS one'));
    await pool.close();`,
    { flags: ['--no-experimental-sqlite'] },
  );
  expect(ended).toMatchObject({ code: 0, stderr: '' });
  expect(ended.stdout).toContain(
    `POOL_OPTIONS option 'driver': 'node:sqlite' needs Node.js 24 or newer`,
  );
  expect(ended.stdout).toContain(`${process.version}, which has no node:sqlite`);
  expect(ended.stdout).toContain('{ one: 1 }');
});
