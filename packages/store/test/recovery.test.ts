import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Pool } from '@poolite/core';
import { expect, test } from 'vitest';
import type { FolderBucket } from '../src/folder-bucket.js';
import { Log } from '../src/log.js';
import { freshBucket, freshFolder } from './support/fresh.ts';
import { machine, rowsIn, tamper } from './support/machines.ts';

const rows = (pool: Pool) => pool.all('SELECT id, name FROM t ORDER BY id');
const insert = (pool: Pool, name: string) => pool.run('INSERT INTO t (name) VALUES (?)', [name]);

/** A machine that makes a snapshot each five entries, and has written so many rows, each an entry. */
async function writing(entries: number) {
  const bucket = freshBucket();
  const folder = freshFolder();
  const writer = machine(bucket, join(folder, 'writer.db'), { store: { snapshotEvery: 5 } });
  await writer.exec('CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE)');
  const log = new Log(bucket);
  const write = async (count: number) => {
    for (let i = 0; i < count; i++) {
      await insert(writer, `name ${Math.random()}`);
      // Snapshots are made beside: the test wants each of them.
      const { position = 0 } = writer.stats().replica ?? {};
      if (position % 5 === 0)
        await expect.poll(() => log.newestSnapshot()).toBeGreaterThanOrEqual(position);
    }
  };
  await write(entries);
  return { bucket, folder, writer, log, write };
}

test('a new machine begins with the newest snapshot, and what is behind it', async () => {
  const { bucket, folder, writer, log } = await writing(22);
  await expect.poll(() => log.isBuried(15)).toBe(true);
  const young = machine(bucket, join(folder, 'young.db'));
  expect(await rows(young)).toEqual(await rows(writer));
  expect(young.stats().replica).toMatchObject({ position: 23, applied: 3 });
  await insert(young, 'from the young one');
  await writer.refresh();
  expect(await rows(writer)).toEqual(await rows(young));
});

test.each([
  ['is damaged', async (bucket: FolderBucket, key: string) => bucket.put(key, Buffer.from('no'))],
  [
    'has lost a piece',
    async (bucket: FolderBucket, key: string) => {
      const [piece = ''] = await bucket.list(key.replace('snapshots/', 'pieces/'));
      await bucket.remove(piece);
    },
  ],
])('a new machine begins with the older snapshot where the newest %s', async (_what, harm) => {
  const { bucket, folder, writer } = await writing(11);
  const keys = await bucket.list('snapshots/');
  expect(keys).toHaveLength(2);
  await harm(bucket, keys[1] as string);
  const young = machine(bucket, join(folder, 'young.db'));
  expect(await rows(young)).toEqual(await rows(writer));
  expect(young.stats().replica).toMatchObject({ position: 12, applied: 7 });
  await harm(bucket, keys[0] as string);
  const none = machine(bucket, join(folder, 'none.db'));
  await expect(none.ready()).rejects.toMatchObject({
    ...{ code: 'POOL_STORE', message: expect.stringContaining('the snapshot 10 is damaged') },
  });
});

test('a machine that was away for too long is brought up to date in place, while it is read', async () => {
  const { bucket, folder, writer, log, write } = await writing(3);
  const file = join(folder, 'away.db');
  const away = machine(bucket, file);
  expect(await rows(away)).toHaveLength(3);
  await write(20);
  await expect.poll(() => log.isBuried(15)).toBe(true);
  const reads = Array.from({ length: 50 }, () => rows(away));
  await away.refresh();
  for (const read of await Promise.all(reads)) expect([3, 23]).toContain(read.length);
  expect(await rows(away)).toEqual(await rows(writer));
  await insert(away, 'back again');
  await writer.refresh();
  expect(await rows(writer)).toEqual(await rows(away));
});

test.each([
  ['from a snapshot', 12],
  ['from the beginning of the log, where there is no snapshot yet', 2],
])('a replica that was tampered with is made anew %s, and kept beside', async (_how, entries) => {
  const { bucket, folder, writer } = await writing(entries);
  const file = join(folder, 'tampered.db');
  const before = machine(bucket, file);
  await before.ready();
  await before.close();
  tamper(file, "UPDATE t SET name = 'tampered' WHERE id = 1");
  const tampered = machine(bucket, file);
  expect(await tampered.get('SELECT name FROM t WHERE id = 1')).toEqual({ name: 'tampered' });
  // This entry says what the row was before.
  await writer.run("UPDATE t SET name = 'changed' WHERE id = 1");
  await tampered.refresh();
  expect(await rows(tampered)).toEqual(await rows(writer));
  expect(tampered.stats().replica?.error).toContain('made anew');
  expect(rowsIn(`${file}.quarantined`, 'SELECT name FROM t WHERE id = 1')).toEqual([
    { name: 'tampered' },
  ]);
  expect(existsSync(`${file}.new`)).toBe(false);
});

test('an entry that is damaged stops those who must read it, with its number, and nobody else', async () => {
  const { bucket, folder, writer } = await writing(2);
  const reader = machine(bucket, join(folder, 'reader.db'));
  await reader.ready();
  await insert(writer, 'three');
  await bucket.put(`log/${'4'.padStart(20, '0')}`, Buffer.from('not an entry'));
  await expect(reader.refresh()).rejects.toMatchObject({
    ...{ code: 'POOL_STORE', message: expect.stringContaining('log entry 4') },
  });
  // It does not get over it by asking again.
  await expect(reader.refresh()).rejects.toMatchObject({ code: 'POOL_STORE' });
  expect(await rows(reader)).toHaveLength(2);
  await insert(writer, 'four');
  expect(await rows(writer)).toHaveLength(4);
});
