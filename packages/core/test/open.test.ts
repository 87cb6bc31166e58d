import { randomBytes } from 'node:crypto';
import { chmodSync, mkdirSync, readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { createPool, type PoolOptions } from '@poolite/core';
import Database from 'better-sqlite3';
import { expect, test } from 'vitest';
import { OtherConnection, runScript } from './support/child.ts';
import { allSettled, failure, freshFile, freshFolder, openPool } from './support/folder.ts';

/** A database in WAL mode with one table of many pages, that nobody has open. */
function existing(file: string, journalMode = 'WAL'): string {
  const db = new Database(file);
  db.pragma(`journal_mode = ${journalMode}`);
  db.exec('CREATE TABLE t (id INTEGER PRIMARY KEY, text TEXT)');
  const insert = db.prepare('INSERT INTO t (text) VALUES (?)');
  db.transaction(() => {
    for (let i = 0; i < 500; i++) insert.run('x'.repeat(100));
  })();
  db.close();
  return file;
}

/** Everything that a pool can be asked first. */
function firstCalls(file: string, options?: PoolOptions) {
  const pool = createPool(file, options);
  const calls = {
    ready: pool.ready(),
    all: pool.all('SELECT 1'),
    get: pool.get('SELECT 1'),
    values: pool.values('SELECT 1'),
    query: pool.query('SELECT 1'),
    run: pool.run('CREATE TABLE made (id)'),
    runMany: pool.runMany('INSERT INTO t VALUES (?, ?)', [[1, 'one']]),
    exec: pool.exec('CREATE TABLE made (id)'),
    batch: pool.batch([{ sql: 'CREATE TABLE made (id)' }]),
    iterate: pool.iterate('SELECT 1').next(),
    transaction: pool.transaction(async (tx) => tx.get('SELECT 1')),
    snapshot: pool.snapshot(async (tx) => tx.get('SELECT 1')),
    'read lease': pool.lease('read'),
    'write lease': pool.lease('write'),
    checkpoint: pool.checkpoint(),
  } satisfies Record<string, Promise<unknown>>;
  return { pool, calls };
}

interface BadFile {
  name: string;
  make(file: string): string;
  options?: PoolOptions;
  code: string;
  says: RegExp;
}

const bad: BadFile[] = [
  {
    name: 'a directory',
    make: (file) => dirname(file),
    code: 'SQLITE_CANTOPEN',
    says: /it is a directory/,
  },
  {
    name: 'a file in a missing folder',
    make: (file) => join(dirname(file), 'missing', 'test.db'),
    code: 'SQLITE_CANTOPEN',
    says: /folder .*missing does not exist/,
  },
  {
    name: 'random bytes',
    make: (file) => {
      writeFileSync(file, Buffer.concat([Buffer.from([1]), randomBytes(8191)]));
      return file;
    },
    code: 'SQLITE_NOTADB',
    says: /is not an SQLite database/,
  },
  {
    name: 'a corrupt header',
    make: (file) => {
      const bytes = readFileSync(existing(file));
      bytes.write('SQLitE', 0);
      writeFileSync(file, bytes);
      return file;
    },
    code: 'SQLITE_NOTADB',
    says: /is not an SQLite database/,
  },
  {
    name: 'a page size that cannot be',
    make: (file) => {
      const bytes = readFileSync(existing(file));
      bytes.writeUInt16BE(777, 16);
      writeFileSync(file, bytes);
      return file;
    },
    code: 'SQLITE_NOTADB',
    says: /is not an SQLite database/,
  },
  {
    name: 'a missing file to read',
    make: (file) => file,
    options: { readonly: true },
    code: 'SQLITE_CANTOPEN',
    says: /no such file/,
  },
  {
    name: 'random bytes to read',
    make: (file) => {
      writeFileSync(file, Buffer.concat([Buffer.from([1]), randomBytes(8191)]));
      return file;
    },
    options: { readonly: true },
    code: 'SQLITE_NOTADB',
    says: /is not an SQLite database/,
  },
  {
    name: 'a directory to read',
    make: (file) => dirname(file),
    options: { readonly: true },
    code: 'SQLITE_IOERR_READ',
    says: /it is a directory/,
  },
];

for (const { name, make, options, code, says } of bad) {
  test(`opening ${name}: a clear error from ready() and from every call`, async () => {
    const file = make(freshFile());
    const { pool, calls } = firstCalls(file, options);
    const outcomes = await allSettled(calls);
    const wanted = Object.fromEntries(Object.keys(calls).map((call) => [call, code]));
    expect(outcomes).toEqual(wanted);
    for (const call of [pool.ready(), pool.get('SELECT 1'), pool.run('DELETE FROM t')]) {
      const error = await failure(call);
      expect(error).toBeInstanceOf(Database.SqliteError);
      expect(error.message).toContain(file);
      expect(error.message).toMatch(says);
    }
    expect(pool.stats().state).toBe('failed');
    await pool.close();
    await pool.close();
  });
}

test('a truncated file is found out: at opening, or by the statement that meets the gap', async () => {
  const file = existing(freshFile());
  truncateSync(file, 4096 * 3 + 100);
  const { pool, calls } = firstCalls(file);
  await allSettled(calls);
  const error = await failure(pool.all('SELECT * FROM t'));
  expect(error.code).toMatch(/^SQLITE_(CORRUPT|NOTADB)/);
  await pool.close();
});

test('a failed opening does not stand in the way of a second try', async () => {
  const file = join(freshFolder(), 'later', 'test.db');
  const first = openPool(file);
  expect((await failure(first.ready())).code).toBe('SQLITE_CANTOPEN');
  mkdirSync(dirname(file));
  const second = openPool(file);
  await second.ready();
  expect(await second.get('SELECT 1 AS one')).toEqual({ one: 1 });
  expect((await failure(first.get('SELECT 1'))).code).toBe('SQLITE_CANTOPEN');
});

/** Opens files without the rights of the superuser, whom permission bits do not bind. */
const unprivileged = `
  import { accessSync, constants } from 'node:fs';
  import { createPool } from '@poolite/core';
  const [file, options] = process.argv.slice(1);
  if (process.getuid?.() === 0) {
    process.setgroups([]);
    process.setgid(65534);
    process.setuid(65534);
  }
  const may = (path, how) => {
    try {
      accessSync(path, how);
      return true;
    } catch {
      return false;
    }
  };
  if (may(file, constants.W_OK)) console.log(JSON.stringify({ skip: 'the file stays writable' }));
  else if (!may('dist/thread.js', constants.R_OK)) console.log(JSON.stringify({ skip: 'the package is not readable' }));
  else {
    const pool = createPool(file, JSON.parse(options));
    const tell = (call) => call.then((value) => ({ value }), ({ code, message }) => ({ code, message }));
    const [ready, read, write] = await Promise.all(
      [pool.ready(), pool.all('SELECT count(*) AS count FROM t'), pool.run('DELETE FROM t')].map(tell),
    );
    await pool.close();
    console.log(JSON.stringify({ ready, read, write }));
  }
`;

interface Told {
  skip?: string;
  ready: { code?: string; message: string; value?: unknown };
  read: { code?: string; message: string; value?: unknown };
  write: { code?: string; message: string };
}

async function openUnprivileged(file: string, options: PoolOptions): Promise<Told> {
  const { stdout, stderr, code } = await runScript(unprivileged, {
    args: [file, JSON.stringify(options)],
  });
  if (code !== 0) throw new Error(`the child failed with ${code}: ${stderr}`);
  return JSON.parse(stdout) as Told;
}

for (const journalMode of ['WAL', 'DELETE']) {
  test.skipIf(process.platform === 'win32')(
    `a read-only file in journal mode ${journalMode} says so, and opens with the option readonly`,
    async ({ skip }) => {
      const file = existing(freshFile(), journalMode);
      chmodSync(dirname(file), 0o755);
      chmodSync(file, 0o444);
      const refused = await openUnprivileged(file, {});
      if (refused.skip !== undefined) skip(refused.skip);
      for (const told of [refused.ready, refused.read, refused.write]) {
        expect(told.message).toContain(file);
        expect(told).toMatchObject({
          code: expect.stringMatching(/^SQLITE_READONLY|^SQLITE_CANTOPEN/),
        });
      }
      const opened = await openUnprivileged(file, { readonly: true });
      if (journalMode === 'DELETE') {
        expect(opened.ready.code).toBeUndefined();
        expect(opened.read.value).toEqual([{ count: 500 }]);
        expect(opened.write.code).toBe('SQLITE_READONLY');
      } else {
        // Nobody has it open, so there is no -shm file, and this user may not make one.
        expect(opened.ready.message).toContain(file);
        expect(opened.read.code).toMatch(/^SQLITE_/);
      }
    },
  );
}

for (const journalMode of ['WAL', 'DELETE']) {
  test(`readonly reads a file in journal mode ${journalMode}, and leaves the mode alone`, async () => {
    const file = existing(freshFile(), journalMode);
    const pool = openPool(file, { readonly: true });
    expect(await pool.get('SELECT count(*) AS count FROM t')).toEqual({ count: 500 });
    for (let i = 0; i < 50; i++) await pool.get('SELECT id FROM t WHERE id = ?', [i + 1]);
    expect(await pool.snapshot((tx) => tx.get('SELECT max(id) AS id FROM t'))).toEqual({ id: 500 });
    const writes = await allSettled({
      run: pool.run('DELETE FROM t'),
      batch: pool.batch([{ sql: 'DELETE FROM t' }, { sql: 'DELETE FROM t' }]),
      exec: pool.exec('DELETE FROM t'),
      returning: pool.all('DELETE FROM t RETURNING id'),
      runMany: pool.runMany('DELETE FROM t WHERE id = ?', [[1], [2]]),
      transaction: pool.transaction((tx) => tx.run('DELETE FROM t')),
    });
    expect(new Set(Object.values(writes))).toEqual(new Set(['SQLITE_READONLY']));
    await pool.close();
    const db = new Database(file, { readonly: true });
    expect(db.pragma('journal_mode', { simple: true })).toBe(journalMode.toLowerCase());
    expect(db.prepare('SELECT count(*) FROM t').pluck().get()).toBe(500);
    db.close();
  });
}

test('a file system without shared memory refuses WAL, and the error says so', async () => {
  // SQLite's own VFS without locks has no shared memory, as network file systems have none.
  const file = `file:${freshFile()}?vfs=unix-none`;
  const { stdout, stderr } = await runScript(
    `import { createPool } from '@poolite/core';
    const pool = createPool(process.argv[1]);
    const tell = (call) => call.then(() => ['opened'], (error) => [error.code, error.message]);
    console.log(JSON.stringify(await Promise.all([pool.ready(), pool.get('SELECT 1')].map(tell))));
    await pool.close();`,
    { args: [file], env: { SQLITE_USE_URI: '1' } },
  );
  expect(stderr).toBe('');
  const told = JSON.parse(stdout) as string[][];
  expect(told).toHaveLength(2);
  for (const [code, message] of told) {
    expect(code).toBe('SQLITE_CANTOPEN');
    expect(message).toContain(file);
    expect(message).toMatch(/refused WAL mode/);
  }
});

test('a reader in rollback mode keeps WAL away: an error after busyTimeout, naming the file', async () => {
  const file = existing(freshFile(), 'DELETE');
  const other = new OtherConnection(file);
  await other.exec('BEGIN; SELECT * FROM t;');
  const started = performance.now();
  const { pool, calls } = firstCalls(file, { busyTimeout: 300 });
  const outcomes = await allSettled(calls);
  expect(new Set(Object.values(outcomes))).toEqual(new Set(['SQLITE_BUSY']));
  expect(performance.now() - started).toBeGreaterThan(290);
  const error = await failure(pool.ready());
  expect(error.message).toContain(file);
  await pool.close();
  await other.exec('ROLLBACK');
  await openPool(file).ready();
});

test('a file held in exclusive locking mode is an error after busyTimeout, naming the file', async () => {
  const file = existing(freshFile());
  const other = new OtherConnection(file);
  await other.exec('PRAGMA locking_mode = EXCLUSIVE; BEGIN IMMEDIATE; COMMIT;');
  const { pool, calls } = firstCalls(file, { busyTimeout: 300 });
  const outcomes = await allSettled(calls);
  expect(new Set(Object.values(outcomes))).toEqual(new Set(['SQLITE_BUSY']));
  expect((await failure(pool.ready())).message).toContain(file);
  await pool.close();
});
