import Database from 'better-sqlite3';
import { expect, test } from 'vitest';
import { runScript } from './support/child.ts';
import { freshFile } from './support/folder.ts';

/** Both ways to get at the package; `work` is the body of an asynchronous function. */
const formats = {
  module: (work: string) => `
    import { createPool } from '@poolite/core';
    const file = process.argv[1];
    ${work}`,
  commonjs: (work: string) => `
    const { createPool } = require('@poolite/core');
    const file = process.argv[1];
    (async () => {
      ${work}
    })();`,
};

const scripts: Record<string, string> = {
  'creates a pool and does nothing': 'createPool(file);',
  'creates a pool and calls ready()': 'createPool(file).ready();',
  'awaits ready()': 'await createPool(file).ready();',
  'awaits statements of every kind': `
    const pool = createPool(file);
    await pool.exec('CREATE TABLE t (id INTEGER PRIMARY KEY)');
    for (let i = 0; i < 300; i++) await pool.run('INSERT INTO t DEFAULT VALUES');
    for (let i = 0; i < 300; i++) await pool.get('SELECT * FROM t WHERE id = ?', [i]);
    await pool.batch([{ sql: 'DELETE FROM t' }]);
    await pool.runMany('INSERT INTO t VALUES (?)', [[1], [2]]);
    await pool.transaction((tx) => tx.run('DELETE FROM t'));
    await pool.snapshot((tx) => tx.all('SELECT * FROM t'));
    for await (const row of pool.iterate('SELECT * FROM t')) void row;
    await pool.checkpoint();`,
  'leaves a stream half read': `
    const pool = createPool(file);
    const rows = pool.iterate('WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 100000) SELECT i FROM n');
    await rows.next();`,
  'leaves leases unreleased': `
    const pool = createPool(file);
    await (await pool.lease('read')).get('SELECT 1');
    await (await pool.lease('write')).run('CREATE TABLE t (id)');`,
  'closes its pool': `
    const pool = createPool(file);
    await pool.run('CREATE TABLE t (id)');
    await pool.close();`,
  'closes its pool at once': 'await createPool(file).close();',
  'has a database in memory': `
    const pool = createPool(':memory:');
    await pool.run('CREATE TABLE t (id)');
    await pool.get('SELECT * FROM t');`,
  'waits longer for a write than a thread lingers': `
    const pool = createPool(file);
    await pool.ready();
    await new Promise((resolve) => setTimeout(resolve, 300));
    await pool.run('CREATE TABLE t (id)');
    await new Promise((resolve) => setTimeout(resolve, 300));
    await pool.get('SELECT * FROM t');`,
};

for (const [type, wrap] of Object.entries(formats)) {
  for (const [name, work] of Object.entries(scripts)) {
    test(`a script that ${name} ends by itself (${type})`, async () => {
      const source = wrap(`${work}\nconsole.log('done');`);
      const ended = await runScript(source, {
        type: type as 'module' | 'commonjs',
        args: [freshFile()],
      });
      // Code 13 would tell of an await that the process did not wait for.
      expect(ended).toMatchObject({ code: 0, signal: null, stdout: 'done\n', stderr: '' });
    });
  }
}

test('what a script did not await is done before it ends', async () => {
  const file = freshFile();
  const ended = await runScript(
    formats.module(`
      const pool = createPool(file);
      pool.exec('CREATE TABLE t (id INTEGER PRIMARY KEY, how TEXT)');
      pool.run("INSERT INTO t (how) VALUES ('run')");
      pool.batch([{ sql: "INSERT INTO t (how) VALUES ('batch')" }]);
      pool.runMany('INSERT INTO t (how) VALUES (?)', [['runMany']]);
      pool.transaction(async (tx) => {
        await tx.get('SELECT 1');
        await tx.run("INSERT INTO t (how) VALUES ('transaction')");
      });`),
    { args: [file] },
  );
  expect(ended).toMatchObject({ code: 0, stderr: '' });
  const db = new Database(file, { readonly: true });
  const rows = db.prepare('SELECT how FROM t ORDER BY how').pluck().all();
  db.close();
  expect(rows).toEqual(['batch', 'run', 'runMany', 'transaction']);
});

test('a script waits for a lock of another process before it ends', async () => {
  const file = freshFile();
  const db = new Database(file);
  db.pragma('journal_mode = WAL');
  db.exec('CREATE TABLE t (id)');
  db.exec('BEGIN IMMEDIATE');
  const release = setTimeout(() => db.exec('COMMIT'), 700);
  const ended = await runScript(
    formats.module(`
      const pool = createPool(file);
      await pool.run('INSERT INTO t VALUES (1)');
      console.log('stored');`),
    { args: [file] },
  );
  clearTimeout(release);
  db.close();
  expect(ended).toMatchObject({ code: 0, stdout: 'stored\n', stderr: '' });
});

test('a script whose pool cannot open its file ends by itself, without an unhandled rejection', async () => {
  const ended = await runScript(
    formats.module(`
      process.on('unhandledRejection', (error) => console.log('unhandled', error));
      const pool = createPool(file + '/missing/test.db');
      await pool.get('SELECT 1').catch((error) => console.log(error.code));
      await pool.close();`),
    { args: [freshFile()] },
  );
  expect(ended).toMatchObject({ code: 0, stdout: 'SQLITE_CANTOPEN\n', stderr: '' });
});

test('process.exit() under load ends a script at once', async () => {
  const ended = await runScript(
    formats.module(`
      const pool = createPool(file);
      await pool.run('CREATE TABLE t (id)');
      for (let i = 0; i < 5000; i++) pool.run('INSERT INTO t VALUES (?)', [i]);
      for (let i = 0; i < 5000; i++) pool.all('SELECT * FROM t');
      setImmediate(() => process.exit(3));`),
    { args: [freshFile()] },
  );
  expect(ended).toMatchObject({ code: 3, signal: null, stderr: '' });
});

test('an old Node.js is refused with its version, not with a crash of the process', async () => {
  const ended = await runScript(`
    Object.defineProperty(process.versions, 'napi', { value: '9' });
    const { createPool, PoolError } = await import('@poolite/core');
    try {
      createPool(':memory:');
    } catch (error) {
      console.log(PoolError.is(error), error.code, error.message);
    }`);
  expect(ended.stdout).toMatch(/^true POOL_MISUSE .*22\.14.*Node-API 10.*v\d+\.\d+\.\d+\n$/);
  expect(ended).toMatchObject({ code: 0, stderr: '' });
});
