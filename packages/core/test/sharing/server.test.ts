import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { PoolError, startWriterServer } from '@poolite/core';
import { expect, onTestFinished, test } from 'vitest';
import { failure, freshFile, freshFolder, openPool, outcome } from '../support/folder.ts';
import { until } from './pair.ts';

async function served(file: string, options: Parameters<typeof startWriterServer>[1] = {}) {
  const server = await startWriterServer(file, options);
  onTestFinished(() => server.stop());
  return server;
}

test('a server in a process of its own writes for pools that name its socket', async () => {
  const file = freshFile();
  const socketPath = join(freshFolder(), 'sockets', 'writer.sock');
  const server = await served(file, { socketPath });
  expect(server.socketPath).toBe(socketPath);
  expect(server.pid).not.toBe(process.pid);
  expect(await server.ping()).toBeGreaterThan(0);
  const pool = openPool(file, { writer: { socketPath } });
  await pool.exec('CREATE TABLE t (v)');
  await pool.transaction((tx) => tx.run('INSERT INTO t VALUES (1)'));
  expect(pool.stats().writer).toMatchObject({ role: 'client', pid: server.pid });
  // Who elects finds it as well.
  const elector = openPool(file, { writer: 'shared' });
  await elector.run('INSERT INTO t VALUES (2)');
  expect(elector.stats().writer).toMatchObject({ role: 'client', pid: server.pid });
  await server.shutdown();
  expect(existsSync(socketPath)).toBe(false);
  await until(() => elector.stats().writer.role === 'writer');
  expect(await elector.get('SELECT count(*) AS n FROM t')).toEqual({ n: 2 });
  const error = await failure(server.ping());
  expect(PoolError.is(error) && error.code).toBe('POOL_TIMEOUT');
});

test('pools wait for a server that is started again', async () => {
  const file = freshFile();
  const first = await served(file, { inProcess: true });
  const pool = openPool(file, { writer: { socketPath: first.socketPath } });
  await pool.exec('CREATE TABLE t (v)');
  await first.shutdown();
  const waiting = pool.run('INSERT INTO t VALUES (1)');
  const second = await served(file, { inProcess: true, socketPath: first.socketPath });
  await waiting;
  expect(second.pid).toBe(process.pid);
  await second.stop();
});

test('a second server on a file is refused', async () => {
  const file = freshFile();
  await served(file, { inProcess: true });
  for (const inProcess of [true, false]) {
    expect(await outcome(startWriterServer(file, { inProcess }))).toBe('POOL_IN_USE');
  }
});

test('a server does not take the socket of another file', async () => {
  const server = await served(freshFile(), { inProcess: true });
  const { socketPath } = server;
  const other = startWriterServer(freshFile(), { inProcess: true, socketPath });
  expect(await outcome(other)).toBe('POOL_IN_USE');
});

test('a pool without its server is told where none answers', async () => {
  const socketPath = join(freshFolder(), 'nobody.sock');
  const pool = openPool(freshFile(), { writer: { socketPath }, acquireTimeout: 100 });
  const error = await failure(pool.run('SELECT 1'));
  expect(error).toMatchObject({ code: 'POOL_TIMEOUT' });
  expect(error.message).toContain(socketPath);
  expect(error.message).toContain('poolite serve');
});

test('commits reach the disk where one of the pools wants that', async () => {
  const file = freshFile();
  const server = await served(file, { inProcess: true });
  const pool = openPool(file, {
    ...{ writer: { socketPath: server.socketPath }, synchronous: 'full' },
  });
  await pool.ready();
  const lease = await pool.lease('write');
  expect(await lease.get('PRAGMA synchronous')).toEqual({ synchronous: 2 });
  await lease.release();
});

test('stop ends what is under way', async () => {
  const file = freshFile();
  const server = await served(file);
  const pool = openPool(file, { writer: { socketPath: server.socketPath } });
  await pool.exec('CREATE TABLE t (v)');
  const lease = await pool.lease('write');
  await lease.run('BEGIN');
  await lease.run('INSERT INTO t VALUES (1)');
  await server.stop();
  expect(await outcome(lease.run('COMMIT'))).toBe('POOL_THREAD_LOST');
});
