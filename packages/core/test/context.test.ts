import { AsyncLocalStorage } from 'node:async_hooks';
import { createPool, type Pool } from '@poolite/core';
import { afterEach, beforeEach, expect, it } from 'vitest';

const storage = new AsyncLocalStorage<number>();
let pool: Pool;

beforeEach(async () => {
  pool = createPool(':memory:');
  await pool.exec('CREATE TABLE item (id INTEGER PRIMARY KEY)');
});

afterEach(() => pool.close());

it('runs the work of a transaction in the context of its caller, whoever had the writer before', async () => {
  const seen = await Promise.all(
    Array.from({ length: 50 }, (_, request) =>
      storage.run(request, () =>
        pool.transaction(async (tx) => {
          const before = storage.getStore();
          await tx.run('INSERT INTO item DEFAULT VALUES');
          return [before, storage.getStore()];
        }),
      ),
    ),
  );
  expect(seen).toEqual(Array.from({ length: 50 }, (_, request) => [request, request]));
});

it('goes on in the context of the caller after every kind of call', async () => {
  const calls: (() => Promise<unknown>)[] = [
    () => pool.all('SELECT 1'),
    () => pool.run('INSERT INTO item DEFAULT VALUES'),
    () => pool.batch([{ sql: 'SELECT 1' }]),
    () => pool.exec('SELECT 1'),
    () => pool.snapshot((tx) => tx.all('SELECT 1')),
    () => pool.lease('write').then((lease) => lease.release()),
    () => pool.iterate('SELECT 1').next(),
  ];
  const seen = await Promise.all(
    calls.map((call, request) =>
      storage.run(request, async () => {
        await call();
        return storage.getStore();
      }),
    ),
  );
  expect(seen).toEqual(calls.map((_, request) => request));
});
