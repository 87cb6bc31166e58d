import { existsSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createPool, type ReplicationMessage, restoreReplica } from '@poolite/core';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { freshFolder, openPool } from './support/folder.ts';
import {
  arrives,
  caughtUp,
  ends,
  litestream,
  numbers,
  PATIENCE,
  reaches,
  removeDatabase,
} from './support/litestream.ts';

const SYNC = 100;

function upTo(count: number): number[] {
  return Array.from({ length: count }, (_, i) => i + 1);
}

/** A folder with names for a database, its replica, and what is restored from it. */
function places() {
  const folder = freshFolder();
  return {
    folder,
    file: join(folder, 'my app.db'),
    url: join(folder, 'the replica'),
    back: join(folder, 'back.db'),
  };
}

describe.skipIf(litestream === undefined)('a pool with the option replicate', () => {
  test('has everything in the replica when it is closed', async () => {
    const { file, url, back } = places();
    const pool = createPool(file, { replicate: { url, syncInterval: SYNC } });
    const states: string[] = [];
    pool.on('replication', ({ state, error }) => states.push(error ?? state));
    await pool.exec('CREATE TABLE row (n INTEGER PRIMARY KEY)');
    await reaches(pool, 'running');
    await Promise.all(upTo(500).map((n) => pool.run('INSERT INTO row VALUES (?)', [n])));
    const { replication } = pool.stats();
    expect(replication).toMatchObject({ url, version: 'v0.3.13', restarts: 0, lastError: '' });
    await pool.close();
    expect(states).toEqual(['restoring', 'starting', 'running', 'stopping', 'stopped']);
    expect(pool.stats().replication).toMatchObject({ state: 'stopped', pid: undefined });
    await ends(replication?.pid as number);
    expect(await restoreReplica(url, back)).toMatchObject({ file: back });
    expect(numbers(back)).toEqual(upTo(500));
    expect(readdirSync(join(url, 'generations'))).toHaveLength(1);
  });

  test('goes on with the same generation when it is opened again', async () => {
    const { file, url, back } = places();
    for (const n of [1, 2]) {
      const pool = openPool(file, { replicate: { url, syncInterval: SYNC } });
      await pool.exec('CREATE TABLE IF NOT EXISTS row (n INTEGER PRIMARY KEY)');
      await reaches(pool, 'running');
      await pool.run('INSERT INTO row VALUES (?)', [n]);
      await pool.close();
    }
    expect(readdirSync(join(url, 'generations'))).toHaveLength(1);
    await restoreReplica(url, back);
    expect(numbers(back)).toEqual([1, 2]);
  });

  test('tells how far the replica is behind', async () => {
    const { file, url } = places();
    const pool = openPool(file, { replicate: { url, syncInterval: SYNC } });
    await pool.exec('CREATE TABLE row (n INTEGER PRIMARY KEY)');
    await caughtUp(pool);
    await pool.run('INSERT INTO row VALUES (1)');
    expect(pool.stats().replication?.lagMs).toBeGreaterThanOrEqual(0);
    await caughtUp(pool);
  });

  test('restores a missing file before it opens it', async () => {
    const { file, url } = places();
    const replicate = { url, syncInterval: SYNC };
    const first = openPool(file, { replicate });
    await first.exec('CREATE TABLE row (n INTEGER PRIMARY KEY)');
    await reaches(first, 'running');
    await first.runMany(
      'INSERT INTO row VALUES (?)',
      upTo(100).map((n) => [n]),
    );
    await first.close();
    removeDatabase(file);

    // What a process left that was killed while it restored.
    writeFileSync(`${file}.restoring-999999999.tmp`, '');
    const second = openPool(file, { replicate });
    const states: ReplicationMessage['state'][] = [];
    second.on('replication', ({ state }) => states.push(state));
    expect(await second.get('SELECT count(*) AS n FROM row')).toEqual({ n: 100 });
    expect(states.slice(0, 2)).toEqual(['restoring', 'starting']);
    expect(existsSync(`${file}.restoring-999999999.tmp`)).toBe(false);
    expect(second.stats().replication?.restoredBytes).toBeGreaterThan(0);
    await reaches(second, 'running');
    await second.run('INSERT INTO row VALUES (101)');
    await second.close();
    rmSync(file);
    const third = openPool(file, { replicate });
    expect(await third.get('SELECT count(*) AS n FROM row')).toEqual({ n: 101 });
  });

  test('begins with an empty file where there is no replica yet, or none is wanted', async () => {
    const { file, url, folder } = places();
    const pool = openPool(file, { replicate: { url, syncInterval: SYNC } });
    expect(await pool.all('SELECT name FROM sqlite_schema')).toEqual([]);
    await pool.exec('CREATE TABLE row (n INTEGER PRIMARY KEY)');
    await reaches(pool, 'running');
    await pool.close();
    const other = openPool(join(folder, 'other.db'), { replicate: { url, restore: false } });
    const tables = await other.all("SELECT name FROM sqlite_schema WHERE name = 'row'");
    expect(tables).toEqual([]);
  });

  test('starts Litestream again when that ends, and goes on', async () => {
    const { file, url, back } = places();
    const pool = openPool(file, { replicate: { url, syncInterval: SYNC } });
    const errors: string[] = [];
    pool.on('replication', ({ error }) => error && errors.push(error));
    await pool.exec('CREATE TABLE row (n INTEGER PRIMARY KEY)');
    await reaches(pool, 'running');
    const pid = pool.stats().replication?.pid as number;
    const waiting = new Promise<void>((resolve) => {
      pool.on('replication', ({ state }) => state === 'waiting' && resolve());
    });
    process.kill(pid, 'SIGKILL');
    await waiting;
    await pool.run('INSERT INTO row VALUES (1)');
    await reaches(pool, 'running');
    expect(errors).toEqual(['litestream ended with signal SIGKILL']);
    expect(pool.stats().replication).toMatchObject({ restarts: 1, errors: 1 });
    expect(pool.stats().replication?.pid).not.toBe(pid);
    await arrives(url, back, () => expect(numbers(back)).toEqual([1]));
  });

  test('leaves the work to the pool that has it, and takes over from it', async () => {
    const { file, url, back } = places();
    const replicate = { url, syncInterval: SYNC };
    const first = openPool(file, { replicate });
    await first.exec('CREATE TABLE row (n INTEGER PRIMARY KEY)');
    await reaches(first, 'running');
    // With other options it has threads of its own, like another process.
    const second = openPool(file, { replicate, busyTimeout: 4000 });
    await second.run('INSERT INTO row VALUES (1)');
    await reaches(second, 'standby');
    expect(second.stats().replication).toMatchObject({ pid: undefined, lagMs: undefined });
    await first.close();
    await reaches(second, 'running');
    await second.run('INSERT INTO row VALUES (2)');
    await second.close();
    await restoreReplica(url, back);
    expect(numbers(back)).toEqual([1, 2]);
  });

  test('says when it cannot send, and that the last writes are not away', async () => {
    const { file, folder } = places();
    const blocked = join(folder, 'a file');
    writeFileSync(blocked, '');
    const pool = createPool(file, {
      replicate: { url: join(blocked, 'replica'), restore: false, syncInterval: SYNC },
    });
    onTestFinished(() => pool.close().catch(() => {}));
    await pool.exec('CREATE TABLE row (n INTEGER PRIMARY KEY)');
    const { error } = await new Promise<ReplicationMessage>((resolve) => {
      pool.on('replication', (message) => message.error && resolve(message));
    });
    expect(error).toContain('not a directory');
    await pool.run('INSERT INTO row VALUES (1)');
    await vi.waitFor(() => expect(pool.stats().replication?.lagMs).toBeGreaterThan(0), PATIENCE);
    await expect(pool.close()).rejects.toMatchObject({
      code: 'POOL_REPLICA',
      message: expect.stringContaining('may not have reached'),
    });
    expect(pool.stats().state).toBe('closed');
    expect(numbers(file)).toEqual([1]);
  });

  test('does not open an empty file where a restore fails', async () => {
    const { file, url } = places();
    const first = openPool(file, { replicate: { url, syncInterval: SYNC } });
    await first.exec('CREATE TABLE row (n INTEGER PRIMARY KEY)');
    await reaches(first, 'running');
    await first.close();
    rmSync(file);
    const [generation] = readdirSync(join(url, 'generations'));
    const snapshots = join(url, 'generations', generation as string, 'snapshots');
    for (const name of readdirSync(snapshots)) writeFileSync(join(snapshots, name), 'damaged');
    const pool = openPool(file, { replicate: { url } });
    await expect(pool.ready()).rejects.toMatchObject({ code: 'POOL_REPLICA' });
    await expect(pool.run('SELECT 1')).rejects.toMatchObject({ code: 'POOL_REPLICA' });
    expect(existsSync(file)).toBe(false);
    expect(readdirSync(join(file, '..')).filter((name) => name.includes('restoring'))).toEqual([]);
  });
});

describe.skipIf(litestream === undefined)('restoreReplica', () => {
  test('restores the state of a moment', async () => {
    const { file, url, folder, back } = places();
    const pool = openPool(file, { replicate: { url, syncInterval: SYNC } });
    await pool.exec('CREATE TABLE row (n INTEGER PRIMARY KEY)');
    await reaches(pool, 'running');
    const moments: Date[] = [];
    for (const n of [1, 2]) {
      await pool.run('INSERT INTO row VALUES (?)', [n]);
      await arrives(url, back, () => expect(numbers(back)).toEqual(upTo(n)));
      moments.push(new Date());
    }
    await pool.close();
    for (const [i, at] of moments.entries()) {
      const target = join(folder, `at-${i}.db`);
      await restoreReplica(url, target, { at });
      expect(numbers(target)).toEqual(upTo(i + 1));
    }
    removeDatabase(back);
    await expect(restoreReplica(url, back, { at: new Date(0) })).rejects.toMatchObject({
      code: 'POOL_REPLICA',
    });
    expect(readdirSync(folder).filter((name) => name.startsWith('back'))).toEqual([]);
  });

  test('tells that there is no replica', async () => {
    const { url, back } = places();
    await expect(restoreReplica(url, back)).rejects.toMatchObject({
      code: 'POOL_REPLICA',
      message: expect.stringContaining('there is no replica'),
    });
  });

  test('never replaces a file', async () => {
    const { url, back } = places();
    writeFileSync(back, 'mine');
    await expect(restoreReplica(url, back)).rejects.toMatchObject({ code: 'POOL_MISUSE' });
  });

  test('ends with its signal', async () => {
    const { url, back } = places();
    const signal = AbortSignal.abort();
    await expect(restoreReplica(url, back, { signal })).rejects.toMatchObject({
      code: 'POOL_ABORTED',
    });
  });
});
