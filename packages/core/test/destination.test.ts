import { createHash } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createPool, type Pool, restoreBackup, verifyBackup } from '@poolite/core';
import Database from 'better-sqlite3';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { freshFolder } from './support/folder.ts';
import { S3TestServer } from './support/s3-server.ts';

const MIB = 1024 * 1024;
const DAY = 86_400_000;

interface Setting {
  folder: string;
  server: S3TestServer;
  errors: Error[];
  url: string;
}

async function setting(): Promise<Setting> {
  const folder = freshFolder();
  const server = await S3TestServer.start();
  return { folder, server, errors: [], url: `s3://${server.bucket}/shop` };
}

function open({ folder, server, errors, url }: Setting, more: { keep?: number } = {}): Pool {
  const pool = createPool(join(folder, 'shop.db'), {
    readers: 1,
    backups: {
      directory: join(folder, 'backups'),
      every: DAY,
      pace: Number.POSITIVE_INFINITY,
      destination: { url, client: server.client },
      onError: (error) => errors.push(error),
      ...more,
    },
  });
  onTestFinished(() => pool.close({ force: true }));
  return pool;
}

/** Waits until nothing is being made or sent. */
async function quiet(pool: Pool): Promise<void> {
  await vi.waitFor(
    () => {
      const { running, made, nextAt } = pool.stats().backups;
      expect({ running, due: made > 0 || nextAt > 0 }).toEqual({ running: 0, due: true });
    },
    { timeout: 60_000 },
  );
}

async function backup(pool: Pool): Promise<string> {
  const { path, done } = await pool.backups.requestBackup();
  await done;
  return path as string;
}

async function fill(pool: Pool, megabytes: number): Promise<void> {
  await pool.exec('CREATE TABLE IF NOT EXISTS ballast (bytes BLOB)');
  const rows = Array.from({ length: megabytes }, () => [MIB]);
  await pool.runMany('INSERT INTO ballast VALUES (randomblob(?))', rows);
}

function rows(file: string): number {
  const db = new Database(file, { readonly: true });
  try {
    expect(db.pragma('integrity_check', { simple: true })).toBe('ok');
    return db.prepare('SELECT count(*) FROM ballast').pluck().get() as number;
  } finally {
    db.close();
  }
}

const sha256 = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex');

describe('backups that are sent to a bucket', () => {
  test('arrive in parts, byte for byte, and are restored from there', async () => {
    const here = await setting();
    const pool = open(here);
    await fill(pool, 12);
    await quiet(pool);
    const path = await backup(pool);
    const key = `shop/${path.split('/').at(-1)}`;
    expect(here.server.keys).toContain(key);
    const stored = here.server.objects.get(key);
    const sum = sha256(readFileSync(path));
    expect(sha256(stored?.body as Buffer)).toBe(sum);
    expect(stored?.metadata).toEqual({ 'x-amz-meta-poolite-sha256': sum });
    expect(stored?.etag).toMatch(/-3$/);
    expect(here.server.uploads.size).toBe(0);
    expect(pool.stats().backups).toMatchObject({ sending: undefined, failed: 0 });
    await pool.close();

    const url = `s3://${here.server.bucket}/${key}`;
    const { client } = here.server;
    expect(await verifyBackup(url, { client })).toMatchObject({ path: url, verdict: 'ok' });
    const target = join(here.folder, 'restored.db');
    const restored = await restoreBackup(url, target, { client });
    expect(restored).toMatchObject({ verdict: 'ok', replaced: false });
    expect(rows(target)).toBe(12);
    expect(readdirSync(here.folder).filter((name) => name.includes('fetch'))).toEqual([]);
    expect(here.errors).toEqual([]);
  });

  test('are listed, those that are there alone too, page by page', async () => {
    const here = await setting();
    const pool = open(here);
    await fill(pool, 1);
    await quiet(pool);
    const body = Buffer.alloc(8192);
    for (const name of [
      'backup_20240102_030405.sqlite',
      'backup_20230102_030405.sqlite.gz',
      'other',
    ]) {
      here.server.objects.set(`shop/${name}`, {
        body,
        etag: '',
        metadata: {},
        modified: new Date(),
      });
    }
    here.server.pageSize = 1;
    const [newest, ...rest] = await pool.backups.list();
    expect(newest).toMatchObject({ verdict: 'ok', stored: { bytes: newest?.bytes } });
    expect(newest?.stored?.location).toBe(`s3://backups/shop/${newest?.name}`);
    expect(rest).toMatchObject([
      {
        path: 's3://backups/shop/backup_20240102_030405.sqlite',
        createdAt: new Date('2024-01-02T03:04:05Z'),
        bytes: 8192,
        verdict: 'unverified',
        compressed: false,
      },
      { name: 'backup_20230102_030405.sqlite.gz', compressed: 'gzip' },
    ]);
  });

  test('are thinned out there too, and nothing else is removed', async () => {
    const here = await setting();
    const body = Buffer.alloc(1);
    const old = ['backup_20230101_000000.sqlite', 'backup_20230102_000000.sqlite', 'notes.txt'];
    for (const name of old) {
      here.server.objects.set(`shop/${name}`, {
        body,
        etag: '',
        metadata: {},
        modified: new Date(),
      });
    }
    here.server.objects.set('backup_20220101_000000.sqlite', {
      body,
      etag: '',
      metadata: {},
      modified: new Date(),
    });
    const pool = open(here, { keep: 2 });
    await fill(pool, 1);
    await quiet(pool);
    const [newest] = await pool.backups.list();
    expect(here.server.keys).toEqual([
      'backup_20220101_000000.sqlite',
      'shop/backup_20230102_000000.sqlite',
      `shop/${newest?.name}`,
      'shop/notes.txt',
    ]);
    expect(pool.stats().backups).toMatchObject({ stored: 1, storedRemoved: 1 });
  });

  test('are read back where the server names no MD5', async () => {
    const here = await setting();
    here.server.md5Etags = false;
    const pool = open(here);
    await fill(pool, 1);
    const path = await backup(pool);
    const key = `shop/${path.split('/').at(-1)}`;
    expect(here.server.requests).toContain(`GET ${key}`);
    expect(here.server.keys).toContain(key);
  });

  test('are not left there where they arrived damaged, and old ones stay', async () => {
    const here = await setting();
    const body = Buffer.alloc(1);
    const old = 'shop/backup_20230101_000000.sqlite';
    here.server.objects.set(old, { body, etag: '', metadata: {}, modified: new Date() });
    here.server.fault = ({ method }) =>
      method === 'PUT' ? { body: Buffer.from('other') } : undefined;
    const pool = open(here, { keep: 1 });
    await fill(pool, 1);
    await vi.waitFor(() => expect(here.errors).toHaveLength(1), { timeout: 60_000 });
    expect(here.errors[0]).toMatchObject({ code: 'POOL_BACKUP' });
    expect(here.errors[0]?.message).toContain('what was read back is not what was sent');
    expect(here.server.keys).toEqual([old]);
    // The one on this disk is there, and is sent with the next.
    expect(await pool.backups.list()).toMatchObject([{ verdict: 'ok', stored: undefined }, {}]);
    here.server.fault = undefined;
    await quiet(pool);
    await backup(pool);
    expect(here.server.keys).toHaveLength(1);
    expect(here.server.keys).not.toContain(old);
  });

  test('that fail half way leave no parts behind', async () => {
    const here = await setting();
    const pool = open(here);
    await quiet(pool);
    await fill(pool, 12);
    here.server.fault = ({ query }) =>
      query.get('partNumber') === '2' ? { status: 500, code: 'InternalError' } : undefined;
    const { done } = await pool.backups.requestBackup();
    await expect(done).rejects.toMatchObject({
      code: 'POOL_BACKUP',
      message: expect.stringContaining('s3://backups/shop/'),
    });
    expect(here.server.uploads.size).toBe(0);
    await vi.waitFor(() => expect(here.errors).toHaveLength(1));
    expect(pool.stats().backups).toMatchObject({ made: 2, stored: 1 });
  });

  test('that could not be sent are sent when the pool is opened again', async () => {
    const here = await setting();
    here.server.fault = () => ({ status: 503, code: 'SlowDown' });
    const first = open(here);
    await fill(first, 1);
    await vi.waitFor(() => expect(here.errors.length).toBeGreaterThan(0), { timeout: 60_000 });
    await first.close();
    expect(here.server.keys).toEqual([]);
    here.server.fault = undefined;
    const second = open(here);
    await vi.waitFor(() => expect(second.stats().backups.stored).toBe(1), { timeout: 60_000 });
    expect(here.server.keys).toHaveLength(1);
  });

  test('are given up when the pool is closed', async () => {
    const here = await setting();
    const pool = open(here);
    await fill(pool, 1);
    let reached: () => void = () => {};
    const inside = new Promise<void>((resolve) => {
      reached = resolve;
    });
    here.server.wait = ({ method }) => {
      if (method !== 'PUT') return undefined;
      reached();
      return new Promise(() => {});
    };
    await inside;
    await pool.close();
    expect(here.server.keys).toEqual([]);
    expect(
      readdirSync(join(here.folder, 'backups')).filter((n) => n.startsWith('backup_')),
    ).toHaveLength(1);
  });

  test.each([
    ['another bucket', 's3://elsewhere/shop', 'NoSuchBucket'],
    ['no object', 's3://backups/shop/backup_20200101_000000.sqlite', 'NoSuchKey'],
  ])('cannot be restored from %s', async (_what, url, code) => {
    const { server, folder } = await setting();
    const name = url.endsWith('.sqlite') ? url : `${url}/backup_20200101_000000.sqlite`;
    const target = join(folder, 'app.db');
    const { client } = server;
    const error = await restoreBackup(name, target, { client }).catch((error: Error) => error);
    expect(error).toMatchObject({ code: 'POOL_BACKUP' });
    expect(String((error as Error).message)).toContain(code);
    expect(readdirSync(folder)).toEqual([]);
  });

  test('that were damaged there are not restored', async () => {
    const here = await setting();
    const pool = open(here);
    await fill(pool, 1);
    const path = await backup(pool);
    await pool.close();
    const key = `shop/${path.split('/').at(-1)}`;
    const object = here.server.objects.get(key);
    if (object !== undefined) object.body = Buffer.from(object.body).fill(1, 9000, 9100);
    const url = `s3://backups/${key}`;
    const { client } = here.server;
    await expect(verifyBackup(url, { client })).rejects.toMatchObject({
      code: 'POOL_BACKUP',
      message: expect.stringContaining('SHA-256'),
    });
  });
});

describe('backups that are sent to another folder', () => {
  test('arrive there, and are thinned out', async () => {
    const folder = freshFolder();
    const far = join(folder, 'far');
    mkdirSync(far);
    writeFileSync(join(far, 'backup_20230101_000000.sqlite'), 'old');
    writeFileSync(join(far, 'mine'), 'stays');
    const pool = createPool(join(folder, 'shop.db'), {
      backups: { directory: join(folder, 'near'), destination: far, keep: 1 },
    });
    onTestFinished(() => pool.close({ force: true }));
    await fill(pool, 1);
    await quiet(pool);
    await backup(pool);
    const [newest] = await pool.backups.list();
    expect(readdirSync(far).sort()).toEqual([newest?.name, 'mine']);
    expect(newest?.stored).toMatchObject({ location: join(far, newest?.name as string) });
    expect(statSync(newest?.stored?.location as string).size).toBe(newest?.bytes);
    expect(rows(newest?.stored?.location as string)).toBe(1);
  });
});

test.each([
  [{ destination: 5 }, 'backups.destination'],
  [{ destination: { url: 'http://example.org' } }, 'backups.destination.url'],
  [{ destination: { url: 's3://a', endpoint: 'x' } }, 'backups.destination.endpoint'],
])('the option %j is refused, by name', (backups, name) => {
  const options = { backups: { directory: 'backups', ...backups } } as never;
  expect(() => createPool('app.db', options)).toThrow(
    expect.objectContaining({ code: 'POOL_OPTIONS' }),
  );
  expect(() => createPool('app.db', options)).toThrow(name);
});
