import { statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { listBackups, type Pool, restoreBackup, type TransferProgress } from '@poolite/core';
import { describe, expect, test } from 'vitest';
import { ACCOUNTS, age, bank, CENTS, inspect, leftovers, moveMoney } from './support/backups.ts';
import { Child } from './support/child.ts';
import { failure, freshFile, openPool } from './support/folder.ts';
import { Gate, refuseUnhandled } from './support/observer.ts';
import { S3TestServer } from './support/s3-server.ts';

refuseUnhandled();

interface Setting {
  server: S3TestServer;
  pool: Pool;
  file: string;
  folder: string;
  url: string;
  client: S3TestServer['client'];
}

async function setting(megabytes: number): Promise<Setting> {
  const server = await S3TestServer.start();
  const file = freshFile('app.db');
  const pool = await bank(file, megabytes);
  const url = `s3://${server.bucket}/here/app.sqlite`;
  return { server, pool, file, folder: dirname(file), url, client: server.client };
}

describe('a backup to a bucket', () => {
  test('is the state of one moment while money moves, and is restored from there', async () => {
    const { server, pool, folder, url, client } = await setting(12);
    const stop = moveMoney(pool, 8);
    const sent: TransferProgress[] = [];
    const made = await pool.backup(url, { client, onSending: (each) => sent.push(each) });
    await stop();
    expect(made).toMatchObject({ path: url, verdict: 'ok', verified: 'quick' });
    expect(server.objects.get('here/app.sqlite')?.body.length).toBe(made.bytes);
    expect(sent[0]).toEqual({ totalBytes: made.bytes, doneBytes: 0 });
    expect(sent.at(-1)).toEqual({ totalBytes: made.bytes, doneBytes: made.bytes });
    expect(leftovers(folder)).toEqual([]);
    expect(pool.stats().backups).toMatchObject({ made: 1, failed: 0, running: 0 });
    const back = join(folder, 'back.db');
    await restoreBackup(url, back, { client });
    expect(inspect(back)).toEqual({ check: 'ok', sum: ACCOUNTS * CENTS, ballast: 1200 });
  });

  test('of a database in memory is made too', async () => {
    const { server, client, url, folder } = await setting(0);
    const memory = openPool(':memory:');
    await memory.exec("CREATE TABLE t (a); INSERT INTO t VALUES ('kept')");
    expect(await memory.backup(url, { client })).toMatchObject({ path: url, verdict: 'ok' });
    expect(server.keys).toEqual(['here/app.sqlite']);
    await restoreBackup(url, join(folder, 'back.db'), { client });
    const back = openPool(join(folder, 'back.db'));
    expect(await back.all('SELECT a FROM t')).toEqual([{ a: 'kept' }]);
  });

  test('replaces nothing where it shall not', async () => {
    const { server, pool, folder, url, client } = await setting(0);
    const options = { client, replace: false };
    await pool.backup(url, options);
    const before = server.objects.get('here/app.sqlite');
    const error = await failure(pool.backup(url, options));
    expect([error.code, error.message]).toEqual([
      'POOL_BACKUP',
      `${url} is there already, and shall not be replaced`,
    ]);
    expect(server.objects.get('here/app.sqlite')).toBe(before);
    const here = join(folder, 'here');
    await pool.backup(here, { replace: false });
    const inode = statSync(here).ino;
    expect((await failure(pool.backup(here, { replace: false }))).code).toBe('POOL_BACKUP');
    expect(statSync(here).ino).toBe(inode);
    await pool.backup(here);
    expect(statSync(here).ino).not.toBe(inode);
    expect(leftovers(folder)).toEqual([]);
  });

  const ends: Record<string, [(here: Setting) => Promise<unknown>, string]> = {
    'is given up': [
      async ({ pool, url, client, server }) => {
        const controller = new AbortController();
        const { signal } = controller;
        server.wait = async ({ method }) => {
          if (method !== 'PUT') return;
          controller.abort();
          await new Promise(() => {});
        };
        return failure(pool.backup(url, { client, signal }));
      },
      'POOL_ABORTED',
    ],
    'is cut short by the end of the pool': [
      async ({ pool, url, client, server }) => {
        const inside = new Gate();
        server.wait = async ({ method }) => {
          if (method !== 'PUT') return;
          inside.open();
          await new Promise(() => {});
        };
        const failing = failure(pool.backup(url, { client }));
        await inside.opened;
        await pool.close({ force: true });
        return failing;
      },
      'POOL_CLOSED',
    ],
    'is refused by the server': [
      async ({ pool, url, client, server }) => {
        server.fault = ({ method }) =>
          method === 'PUT' ? { status: 403, code: 'AccessDenied' } : undefined;
        return failure(pool.backup(url, { client }));
      },
      'POOL_BACKUP',
    ],
    'has no name there': [
      ({ pool, client }) => failure(pool.backup('s3://backups/here/', { client })),
      'POOL_OPTIONS',
    ],
  };

  test.each(Object.entries(ends))('that %s leaves nothing behind', async (_, [end, code]) => {
    const here = await setting(1);
    expect(await end(here)).toMatchObject({ code });
    expect(here.server.keys).toEqual([]);
    expect(leftovers(here.folder)).toEqual([]);
  });

  test.each([
    [
      'throws',
      () => {
        throw new Error('no more');
      },
    ],
    ['rejects with', () => Promise.reject(new Error('no more')) as unknown as undefined],
  ])('ends with what onSending %s', async (_, onSending) => {
    const { pool, folder, url, client } = await setting(1);
    const error = await failure(pool.backup(url, { client, onSending }));
    expect(error.message).toBe('no more');
    expect(leftovers(folder)).toEqual([]);
  });
});

test('what a process leaves that is killed while it fetches is removed by the next', async () => {
  const { server, pool, folder, url, client } = await setting(1);
  await pool.backup(url, { client });
  const inside = new Gate();
  server.wait = ({ method }) => {
    if (method !== 'GET') return undefined;
    inside.open();
    return new Promise(() => {});
  };
  const target = join(folder, 'back.db');
  const child = new Child(
    `import { restoreBackup } from '@poolite/core';
    const [url, target, client] = process.argv.slice(1);
    await restoreBackup(url, target, { client: JSON.parse(client) });`,
    [url, target, JSON.stringify(client)],
  );
  await inside.opened;
  await child.end();
  expect(leftovers(folder)).toHaveLength(1);
  server.wait = undefined;
  age(folder);
  await restoreBackup(url, target, { client });
  expect(leftovers(folder)).toEqual([]);
});

test('the backups of a bucket are listed without a pool, and checked', async () => {
  const { server, pool, client } = await setting(1);
  const bucket = `s3://${server.bucket}/list`;
  const names = ['backup_20260102_030405.sqlite', 'backup_20260101_030405.sqlite.gz'];
  await pool.backup(`${bucket}/${names[0]}`, { client });
  await pool.backup(`${bucket}/${names[1]}`, { client, compress: 'gzip' });
  await pool.backup(`${bucket}/other`, { client });
  const all = await listBackups(bucket, { client });
  expect(all.map(({ name, verdict }) => [name, verdict])).toEqual([
    [names[0], 'unverified'],
    [names[1], 'unverified'],
  ]);
  const checked = await listBackups(bucket, { client, verify: 'full' });
  expect(checked.map(({ path, verdict, compressed }) => [path, verdict, compressed])).toEqual([
    [`${bucket}/${names[0]}`, 'ok', false],
    [`${bucket}/${names[1]}`, 'ok', 'gzip'],
  ]);
});
