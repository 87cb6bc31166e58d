import { createRequire } from 'node:module';
import type { Pool } from '@poolite/core';
import { expect, test } from 'vitest';
import { failure, outcome, writeModule } from './support/folder.ts';
import { sharedPool } from './support/shared-pool.ts';

/**
 * better-sqlite3 on a disk that fails: COMMIT and what commits by itself are undone and refused, as
 * SQLite does where it has written a commit and cannot sync it. The code is told by the table's one row.
 */
const FAILING = `
const Database = require(${JSON.stringify(createRequire(import.meta.url).resolve('better-sqlite3'))});
module.exports = class extends Database {
  constructor(file, options) {
    super(file, options);
    if (!options.readonly) this.function('fail', { deterministic: false }, (code) => {
      this.failing = code;
      return code;
    });
  }
  fail() {
    if (this.failing === undefined) return;
    const code = this.failing;
    if (this.inTransaction) super.exec('ROLLBACK');
    this.failing = undefined;
    throw new Database.SqliteError('disk I/O error', code);
  }
  prepare(sql) {
    const statement = super.prepare(sql);
    const { run } = statement;
    statement.run = (params) => {
      if (sql === 'COMMIT') this.fail();
      if (this.inTransaction || !sql.startsWith('INSERT')) return run.call(statement, params);
      super.exec('BEGIN');
      const result = run.call(statement, params);
      this.fail();
      super.exec('COMMIT');
      return result;
    };
    return statement;
  }
  exec(sql) {
    const wasOpen = this.inTransaction;
    super.exec(sql.replace('COMMIT', ''));
    if (sql.includes('COMMIT')) this.fail();
    if (!wasOpen && this.inTransaction) super.exec('COMMIT');
    return this;
  }
};
module.exports.SqliteError = Database.SqliteError;
`;

const freshPool = sharedPool((file) => ({
  readers: 1,
  driver: writeModule(file, 'failing.cjs', FAILING),
}));
const failingPool = () => freshPool('CREATE TABLE t (v)');

const WAYS: Readonly<Record<string, (pool: Pool, code: string) => Promise<unknown>>> = {
  run: (pool, code) => pool.run('INSERT INTO t VALUES (fail(?))', [code]),
  batch: (pool, code) =>
    pool.batch([{ sql: 'INSERT INTO t VALUES (fail(?))', params: [code] }, { sql: 'SELECT 1' }]),
  transaction: (pool, code) =>
    pool.transaction((tx) => tx.run('INSERT INTO t VALUES (fail(?))', [code])),
  runMany: (pool, code) => pool.runMany('INSERT INTO t VALUES (fail(?))', [[code]]),
  exec: (pool, code) => pool.exec(`BEGIN; INSERT INTO t VALUES (fail('${code}')); COMMIT`),
  lease: async (pool, code) => {
    await using lease = await pool.lease('write');
    await lease.run('BEGIN');
    await lease.run('INSERT INTO t VALUES (fail(?))', [code]);
    await lease.run('COMMIT');
  },
};

test.each(Object.entries(WAYS))(
  'a commit that was written and not synced may be stored: %s says so',
  async (_, write) => {
    const pool = await failingPool();
    for (const code of ['SQLITE_IOERR_FSYNC', 'SQLITE_IOERR_SHMSIZE', 'SQLITE_IOERR_SHMMAP']) {
      const error = await failure(write(pool, code));
      expect(error).toMatchObject({ code: 'POOL_OUTCOME_UNKNOWN', retryable: false });
      expect(error.message).toContain(`disk I/O error (${code})`);
    }
    await pool.run('INSERT INTO t VALUES (2)');
    expect(await pool.values('SELECT v FROM t')).toEqual([[2]]);
  },
);

test.each(Object.entries(WAYS))(
  'a commit that could not be written is not stored: %s says so',
  async (_, write) => {
    const pool = await failingPool();
    for (const code of ['SQLITE_IOERR_WRITE', 'SQLITE_FULL']) {
      expect(await outcome(write(pool, code))).toBe(code);
    }
    expect(await pool.values('SELECT v FROM t')).toEqual([]);
  },
);

test('each member of a group whose commit could not be synced is tried alone', async () => {
  const pool = await failingPool();
  const writes = [1, 2, 3].map((v) => pool.run('INSERT INTO t VALUES (?)', [v]));
  const doubtful = pool.run("INSERT INTO t VALUES (fail('SQLITE_IOERR_FSYNC'))");
  await Promise.all([...writes, doubtful.catch(() => {})]);
  const rows = await pool.values('SELECT v FROM t WHERE v IN (1, 2, 3) ORDER BY v');
  expect(rows).toEqual([[1], [2], [3]]);
});
