import { randomBytes } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createPool } from '@poolite/core';
import { s3Store } from '@poolite/store';
import { afterAll, beforeAll, beforeEach, expect, onTestFinished, test } from 'vitest';
import { BucketError } from '../../packages/store/src/bucket.ts';
import { collect } from '../../packages/store/src/collection.ts';
import type { Entry } from '../../packages/store/src/entry.ts';
import { Log } from '../../packages/store/src/log.ts';
import { probe } from '../../packages/store/src/probe.ts';
import { S3Bucket } from '../../packages/store/src/s3-bucket.ts';
import { fetchSnapshot, storeSnapshot } from '../../packages/store/src/snapshots.ts';
import { bucketContract } from '../../packages/store/test/support/bucket-contract.ts';
import { entryOf } from '../../packages/store/test/support/entries.ts';
import { clientOf, type S3Server, startS3ServerWith } from './server.ts';

const BUCKET = 'logs';
let server: S3Server;
let prefixes = 0;
let folder = '';

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'poolite-s3-store-'));
  const mine = folder;
  onTestFinished(() => rmSync(mine, { recursive: true, force: true }));
});

beforeAll(async () => {
  server = await startS3ServerWith(BUCKET);
});

afterAll(() => server?.stop());

/** Handles on one prefix that nobody has used, each with a client of its own. */
async function fresh(): Promise<() => S3Bucket> {
  const prefix = `log-${++prefixes}`;
  return () => new S3Bucket({ bucket: BUCKET, prefix, client: clientOf(server) });
}

bucketContract('radosgw', fresh, {
  races: 100,
  contenders: 8,
  largest: 20_000_000,
  pages: true,
});

test('a real server passes the probe, which leaves nothing', async () => {
  const bucket = (await fresh())();
  await probe(bucket);
  expect(await bucket.list('')).toEqual([]);
});

test('a log on a real server is written, read, and collected by several at once', async () => {
  const open = await fresh();
  const log = new Log(open());
  const parts = (number: number): Entry['parts'] => [
    { type: 'changes', bytes: new Uint8Array(number % 10 === 0 ? 300_000 : 100).fill(number) },
  ];
  const entries = Array.from({ length: 60 }, (_, at) => entryOf(at + 1, { parts: parts(at + 1) }));
  for (const entry of entries) {
    const rivals = [entry, entryOf(entry.number), entryOf(entry.number)];
    const results = await Promise.all(rivals.map((each) => new Log(open()).create(each)));
    const winner = rivals[results.indexOf('created')];
    expect(results.filter((result) => result === 'created')).toHaveLength(1);
    entries[entry.number - 1] = winner as Entry;
    expect(await log.tokenAt(entry.number)).toBe(winner?.token);
  }
  expect(await log.head()).toBe(60);
  const { entries: read, end } = await log.readMany(1, 1000);
  expect(end).toBe('gap');
  expect(read.map(({ token }) => token)).toEqual(entries.map(({ token }) => token));
  const file = join(folder, 'copy.db');
  writeFileSync(file, randomBytes(20_000_000));
  for (const number of [20, 40, 50]) {
    const token = entries[number - 1]?.token as string;
    const head = { number, token, sqlite: '', schema: '' };
    expect(await storeSnapshot(open(), file, head)).toBe('created');
  }
  await Promise.all([collect(log), collect(new Log(open())), collect(new Log(open()))]);
  expect(await collect(log)).toEqual({ buried: 0, removed: 0, more: false });
  expect(await log.snapshots()).toEqual([40, 50]);
  expect((await log.readMany(1, 10)).end).toBe('tombstone');
  expect((await log.readMany(41, 100)).entries).toHaveLength(20);
  expect(await open().list('pieces/')).toHaveLength(6);
  const fetched = join(folder, 'fetched.db');
  expect(await fetchSnapshot(open(), 50, fetched)).toBeDefined();
  expect(Buffer.compare(readFileSync(fetched), readFileSync(file))).toBe(0);
});

test('machines that write one database through a real server lose and double nothing', async () => {
  const prefix = `pool-${++prefixes}`;
  const pools = ['one', 'two', 'three'].map((name) =>
    createPool(join(folder, `${name}.db`), {
      driver: 'node:sqlite',
      acquireTimeout: 100_000,
      transactionTimeout: 100_000,
      retries: 100,
      store: s3Store({ bucket: BUCKET, prefix, client: clientOf(server), snapshotEvery: 10 }),
    }),
  );
  for (const pool of pools) onTestFinished(() => pool.close({ force: true }));
  const [one] = pools;
  await one?.exec('CREATE TABLE account (id INTEGER PRIMARY KEY, cents INTEGER NOT NULL)');
  await one?.exec('INSERT INTO account VALUES (1, 1000), (2, 0)');
  await Promise.all(pools.map((pool) => pool.refresh()));
  await Promise.all(
    pools.flatMap((pool) =>
      Array.from({ length: 10 }, () =>
        pool.transaction(async (tx) => {
          const from = await tx.get<{ cents: number }>('SELECT cents FROM account WHERE id = 1');
          await tx.run('UPDATE account SET cents = ? WHERE id = 1', [(from?.cents ?? 0) - 1]);
          await tx.run('UPDATE account SET cents = cents + 1 WHERE id = 2');
        }),
      ),
    ),
  );
  for (const pool of pools) {
    await pool.refresh();
    expect(await pool.all('SELECT cents FROM account ORDER BY id')).toEqual([
      { cents: 970 },
      { cents: 30 },
    ]);
  }
});

test('what a real server refuses certainly had no effect, and the way out is told', async () => {
  const wrong: [options: object, bucket: string, says: RegExp][] = [
    [{}, 'nowhere', /s3:\/\/nowhere\/: NoSuchBucket.*correct the option 'bucket'/],
    [
      { credentials: { accessKeyId: 'test-key', secretAccessKey: 'wrong' } },
      BUCKET,
      /SignatureDoesNotMatch.*the secret key is wrong/,
    ],
    [
      { credentials: { accessKeyId: 'nobody', secretAccessKey: 'wrong' } },
      BUCKET,
      /InvalidAccessKeyId.*the server does not know these credentials/,
    ],
  ];
  for (const [options, bucket, says] of wrong) {
    const handle = new S3Bucket({ bucket, client: { ...clientOf(server), ...options } });
    for (const attempt of [
      () => handle.create('log/1', new Uint8Array(1)),
      () => handle.get('log/1'),
      () => handle.list('log/'),
    ]) {
      const error = await attempt().catch((reason: unknown) => reason);
      expect(error).toBeInstanceOf(BucketError);
      expect(error).toMatchObject({ definite: true, message: expect.stringMatching(says) });
    }
  }
});
