import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { mkdirSync, readdirSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  type BackupSendingMessage,
  type BackupSentMessage,
  createPool,
  type PoolOptions,
} from '@poolite/core';
import { expect, onTestFinished, test, vi } from 'vitest';
import { Child } from './support/child.ts';
import { freshFolder, openPool } from './support/folder.ts';
import { Gate, refuseUnhandled } from './support/observer.ts';
import { S3TestServer } from './support/s3-server.ts';

refuseUnhandled();

const DAY = 86_400_000;

type Settings = NonNullable<PoolOptions['backups']>;

function options(folder: string, more: Partial<Settings>): PoolOptions {
  const backups = { directory: join(folder, 'backups'), every: DAY, ...more };
  return { readers: 1, backups };
}

function filesOf(folder: string, name: string): string[] {
  return readdirSync(join(folder, name)).filter((file) => file.startsWith('backup_'));
}

test('of two processes one sends at a time, and none sends what is there', async () => {
  const folder = freshFolder();
  const server = await S3TestServer.start();
  const destination = { url: `s3://${server.bucket}`, client: server.client };
  const file = join(folder, 'app.db');
  const inside = new Gate();
  const gate = new Gate();
  server.wait = async ({ method }) => {
    if (method !== 'PUT') return;
    inside.open();
    await gate.opened;
  };
  const child = new Child(
    `import { createPool } from '@poolite/core';
    const [file, options] = process.argv.slice(1);
    const pool = createPool(file, JSON.parse(options));
    pool.on('backupSent', ({ name }) => process.send(name));
    process.once('message', () => pool.close().then(() => process.disconnect()));`,
    [file, JSON.stringify(options(folder, { destination }))],
  );
  await inside.opened;
  const pool = openPool(file, options(folder, { destination }));
  const made = new Promise((resolve) => pool.on('backup', resolve));
  const { started, done, path } = await pool.backups.requestBackup();
  expect(started).toBe(true);
  await made;
  gate.open();
  await done;
  expect(await child.message()).toBe(filesOf(folder, 'backups').sort()[0]);
  const puts = server.requests.filter((request) => request.startsWith('PUT '));
  expect(puts.sort()).toEqual(server.keys.map((key) => `PUT ${key}`));
  expect(server.keys).toEqual(filesOf(folder, 'backups').sort());
  expect(server.keys).toContain(path?.split('/').at(-1));
  child.process.send('end');
});

test('whoever waits to send gives it up when the pool is closed', async () => {
  const folder = freshFolder();
  const server = await S3TestServer.start();
  const destination = { url: `s3://${server.bucket}`, client: server.client };
  const file = join(folder, 'app.db');
  const inside = new Gate();
  server.wait = ({ method }) => {
    if (method !== 'PUT') return undefined;
    inside.open();
    return new Promise(() => {});
  };
  const child = new Child(
    `import { createPool } from '@poolite/core';
    createPool(process.argv[1], JSON.parse(process.argv[2]));`,
    [file, JSON.stringify(options(folder, { destination }))],
  );
  await inside.opened;
  const pool = openPool(file, options(folder, { destination }));
  await pool.ready();
  // Nothing is due: it waits for its turn to send what is missing.
  await vi.waitFor(() => expect(pool.stats().backups.running).toBe(1), { timeout: 60_000 });
  await pool.close();
  expect(pool.stats().backups).toMatchObject({ running: 0, stored: 0 });
  await child.end();
});

test('a pool tells how much of a backup is sent, and when it has arrived', async () => {
  const folder = freshFolder();
  const far = join(folder, 'far');
  const published: unknown[] = [];
  const listener = (message: unknown) => published.push(message);
  subscribe('poolite:backup-sent', listener);
  onTestFinished(() => void unsubscribe('poolite:backup-sent', listener));
  const file = join(folder, 'app.db');
  const before = createPool(file, { readers: 1 });
  await before.exec('CREATE TABLE t (bytes BLOB)');
  await before.run('INSERT INTO t VALUES (randomblob(3000000))');
  await before.close();
  const told: BackupSendingMessage[] = [];
  const pool = openPool(file, options(folder, { destination: far }));
  pool.on('backupSending', (message) => told.push(message));
  const sent = await new Promise<BackupSentMessage>((resolve) => pool.on('backupSent', resolve));
  const [name = ''] = filesOf(folder, 'backups');
  const location = join(far, name);
  expect(sent).toEqual({ file, name, location, bytes: expect.any(Number), ms: expect.any(Number) });
  expect(published).toEqual([sent]);
  const { bytes: totalBytes } = sent;
  expect(totalBytes).toBeGreaterThan(3_000_000);
  expect(told[0]).toEqual({ file, name, location, totalBytes, doneBytes: 0 });
  expect(told.at(-1)).toEqual({ file, name, location, totalBytes, doneBytes: totalBytes });
  const done = told.map(({ doneBytes }) => doneBytes);
  expect(done).toEqual([...done].sort((a, b) => a - b));
});

test('the newest that is good stays at the destination too', async () => {
  const folder = freshFolder();
  const far = join(folder, 'far');
  const pool = openPool(join(folder, 'app.db'), options(folder, { destination: far, keep: 1 }));
  await pool.exec('CREATE TABLE parent (id INTEGER PRIMARY KEY)');
  await pool.exec('CREATE TABLE child (parent REFERENCES parent)');
  await (await pool.backups.requestBackup()).done;
  const [good] = filesOf(folder, 'far').sort().slice(-1);
  await pool.exec('PRAGMA foreign_keys = OFF; INSERT INTO child VALUES (1)');
  await (await pool.backups.requestBackup()).done;
  await (await pool.backups.requestBackup()).done;
  const [newest, ...others] = await pool.backups.list();
  expect([newest?.verdict, others.map(({ name }) => name)]).toEqual(['foreign-keys', [good]]);
  expect(filesOf(folder, 'far').sort()).toEqual([good, newest?.name]);
});

test('what a process left at the destination that was killed is removed an hour later', async () => {
  const folder = freshFolder();
  const far = join(folder, 'far');
  mkdirSync(far);
  const hourAgo = new Date(Date.now() - 3_700_000);
  const old = 'backup_20230101_000000.sqlite.0123456789ab.unfinished';
  const stays = [
    'backup_20230102_000000.sqlite.0123456789ab.unfinished',
    'mine.0123456789ab.unfinished',
    'mine.unfinished',
  ];
  for (const name of [old, ...stays]) writeFileSync(join(far, name), 'x');
  for (const name of [old, ...stays.slice(1)]) utimesSync(join(far, name), hourAgo, hourAgo);
  const pool = openPool(join(folder, 'app.db'), options(folder, { destination: far }));
  await (await pool.backups.requestBackup()).done;
  expect(
    readdirSync(far)
      .filter((name) => name.endsWith('.unfinished'))
      .sort(),
  ).toEqual(stays);
});

test('the folder of the backups is no destination', () => {
  const folder = freshFolder();
  const destination = join(folder, 'elsewhere', '..', 'backups');
  expect(() => createPool(join(folder, 'app.db'), options(folder, { destination }))).toThrow(
    expect.objectContaining({
      code: 'POOL_OPTIONS',
      message: expect.stringContaining("'backups.destination' is the folder of the backups itself"),
    }),
  );
});
