import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { createPool, restoreBackup, restoreReplica } from '@poolite/core';
import Database from 'better-sqlite3';
import { afterAll, beforeAll, beforeEach, expect, onTestFinished, test, vi } from 'vitest';
import { caughtUp, numbers, reaches } from '../../packages/core/test/support/litestream.ts';
import { clientOf, type S3Server, startS3ServerWith } from './server.ts';

const BUCKET = 'poolite';
const SYNC = 500;
/** What may be missing after a SIGKILL to everything, in ms: two intervals, and a busy machine. */
const TAIL = 2 * SYNC + 3000;

let server: S3Server;
let folder = '';

beforeAll(async () => {
  server = await startS3ServerWith(BUCKET);
});

afterAll(() => server?.stop());

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'poolite-s3-test-'));
  const mine = folder;
  onTestFinished(() => rmSync(mine, { recursive: true, force: true }));
});

function replica(path: string) {
  const { endpoint, accessKeyId, secretAccessKey } = server;
  return {
    url: `s3://${BUCKET}/${path}`,
    settings: { endpoint, region: 'us-east-1', 'force-path-style': true },
    env: { AWS_ACCESS_KEY_ID: accessKeyId, AWS_SECRET_ACCESS_KEY: secretAccessKey },
  };
}

test('backups go to the bucket in parts, are thinned out there, and come back', async () => {
  const file = join(folder, 'shop.db');
  const destination = { url: `s3://${BUCKET}/shop`, client: clientOf(server) };
  const pool = createPool(file, {
    backups: { directory: join(folder, 'backups'), keep: 2, destination },
  });
  onTestFinished(() => pool.close());
  await pool.exec('CREATE TABLE row (n INTEGER PRIMARY KEY, bytes BLOB)');
  const paths: string[] = [];
  for (const n of [1, 2, 3]) {
    const bytes = new Array(12).fill(0).map((_, i) => [n * 100 + i]);
    await pool.runMany('INSERT INTO row VALUES (?, randomblob(1000000))', bytes);
    const { path, done } = await pool.backups.requestBackup();
    await done;
    paths.push(path as string);
  }
  const all = await pool.backups.list();
  expect(all).toHaveLength(2);
  for (const { stored, bytes } of all) expect(stored?.bytes).toBe(bytes);
  expect(all[0]?.path).toBe(paths[2]);
  const target = join(folder, 'restored.db');
  const url = all[0]?.stored?.location as string;
  const restored = await restoreBackup(url, target, { client: clientOf(server) });
  expect(restored).toMatchObject({ verdict: 'ok', bytes: readFileSync(paths[2] as string).length });
  expect(numbers(target)).toHaveLength(36);
  await expect(
    restoreBackup(`s3://${BUCKET}/shop/backup_20200101_000000.sqlite`, join(folder, 'x.db'), {
      client: clientOf(server),
    }),
  ).rejects.toMatchObject({ code: 'POOL_BACKUP' });
});

test('the command line backs up to the bucket, and verifies, lists and restores what is there', async () => {
  const { endpoint, accessKeyId, secretAccessKey } = server;
  const env = {
    AWS_ENDPOINT_URL: endpoint,
    AWS_REGION: 'us-east-1',
    AWS_ACCESS_KEY_ID: accessKeyId,
    AWS_SECRET_ACCESS_KEY: secretAccessKey,
  };
  const main = fileURLToPath(new URL('../../packages/cli/dist/main.js', import.meta.url));
  const poolite = (...args: string[]) => {
    const command = [main, ...args, '--path-style', '--json'];
    const { status, stdout } = spawnSync(process.execPath, command, {
      env: { ...process.env, ...env },
      encoding: 'utf8',
    });
    return [status, JSON.parse(stdout)];
  };
  const file = join(folder, 'app.db');
  const db = new Database(file);
  db.exec('CREATE TABLE row (n INTEGER PRIMARY KEY, bytes BLOB)');
  const insert = db.prepare('INSERT INTO row VALUES (?, randomblob(1000000))');
  for (let n = 1; n <= 12; n++) insert.run(n);
  db.close();
  const prefix = `s3://${BUCKET}/by-hand`;
  const url = `${prefix}/backup_20260102_030405.sqlite`;
  expect(poolite('backup', file, url)).toMatchObject([0, { path: url, verdict: 'ok' }]);
  expect(poolite('backup', file, url)).toMatchObject([1, { error: { code: 'POOL_BACKUP' } }]);
  expect(poolite('verify', url)).toMatchObject([0, { sound: true }]);
  const backups = [{ path: url, verdict: 'ok' }];
  expect(poolite('backups', prefix, '--verify', 'full')).toMatchObject([0, { backups }]);
  const target = join(folder, 'back.db');
  expect(poolite('restore', url, target)).toMatchObject([0, { verdict: 'ok' }]);
  expect(numbers(target)).toHaveLength(12);
  const missing = `${prefix}/none`;
  expect(poolite('restore', missing, join(folder, 'x.db'))).toMatchObject([1, { error: {} }]);
});

test('a replica in the bucket has all after close, and the state of a moment', async () => {
  const file = join(folder, 'app.db');
  const replicate = { ...replica('closed'), syncInterval: SYNC };
  const pool = createPool(file, { replicate });
  onTestFinished(() => pool.close());
  await pool.exec('CREATE TABLE row (n INTEGER PRIMARY KEY)');
  await reaches(pool, 'running');
  await pool.run('INSERT INTO row VALUES (1)');
  await caughtUp(pool);
  const moment = new Date();
  await pool.run('INSERT INTO row VALUES (2)');
  await pool.close();
  const { url, ...options } = replica('closed');
  await restoreReplica(url, join(folder, 'now.db'), options);
  expect(numbers(join(folder, 'now.db'))).toEqual([1, 2]);
  await restoreReplica(url, join(folder, 'then.db'), { ...options, at: moment });
  expect(numbers(join(folder, 'then.db'))).toEqual([1]);
  for (const end of ['', '-wal', '-shm']) rmSync(file + end, { force: true });
  const again = createPool(file, { replicate });
  onTestFinished(() => again.close());
  expect(await again.values('SELECT n FROM row')).toEqual([[1], [2]]);
});

test('a replica in the bucket has every acknowledged row but the tail after SIGKILL to all', async () => {
  const file = join(folder, 'app.db');
  const options = { replicate: { ...replica('killed'), syncInterval: SYNC } };
  const source = `
    import { createPool } from '@poolite/core';
    const [, file, options] = process.argv;
    const pool = createPool(file, JSON.parse(options));
    await pool.exec('CREATE TABLE row (n INTEGER PRIMARY KEY)');
    while (pool.stats().replication.state !== 'running') await new Promise((r) => setTimeout(r, 20));
    process.send({ pid: pool.stats().replication.pid });
    for (let n = 1; ; n++) {
      await pool.run('INSERT INTO row VALUES (?)', [n]);
      process.send({ n, at: Date.now() });
      await new Promise((r) => setTimeout(r, 2));
    }
  `;
  const args = ['--input-type=module', '-e', source, '--', file, JSON.stringify(options)];
  const child = spawn(process.execPath, args, {
    cwd: fileURLToPath(new URL('../../packages/core', import.meta.url)),
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  });
  onTestFinished(() => void child.kill('SIGKILL'));
  const acknowledged: { n: number; at: number }[] = [];
  let pid = 0;
  child.on('message', (message: { pid?: number; n: number; at: number }) => {
    if (message.pid !== undefined) pid = message.pid;
    else acknowledged.push(message);
  });
  await vi.waitFor(
    () => {
      const [first] = acknowledged;
      expect((acknowledged.at(-1)?.at ?? 0) - (first?.at ?? 0)).toBeGreaterThan(TAIL + 3000);
    },
    { timeout: 60_000, interval: 50 },
  );
  const killed = Date.now();
  process.kill(pid, 'SIGKILL');
  child.kill('SIGKILL');
  await once(child, 'exit');
  const { url, ...rest } = replica('killed');
  const back = join(folder, 'back.db');
  await restoreReplica(url, back, rest);
  const found = numbers(back);
  expect(found).toEqual(found.map((_, i) => i + 1));
  const safe = acknowledged.filter(({ at }) => at < killed - TAIL);
  expect(safe.length).toBeGreaterThan(50);
  expect(found.length).toBeGreaterThanOrEqual(safe.at(-1)?.n as number);
  const last = acknowledged.at(-1) as { n: number };
  console.log(`${found.length} of ${last.n} acknowledged rows are in the replica`);
});
