import { randomInt } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { type Collected, collect } from '../src/collection.js';
import { type Entry, encodeTombstone } from '../src/entry.js';
import { DamagedError } from '../src/envelope.js';
import { entryKey, snapshotKey } from '../src/keys.js';
import { Log } from '../src/log.js';
import { fetchSnapshot, readSnapshot, storeSnapshot } from '../src/snapshots.js';
import { entryOf } from './support/entries.js';
import { chance, FaultyBucket } from './support/faulty-bucket.js';
import { freshBucket, freshFolder } from './support/fresh.js';

/** How often a collection is killed for each new snapshot. */
const KILLS = Number(process.env.COLLECTION_KILLS ?? 3);

/** Every fifth entry is large enough to need a segment. */
const bytesOf = (number: number) => new Uint8Array(number % 5 === 0 ? 300_000 : 10).fill(number);

/** A log of so many entries with some snapshots: the file of each is its number as text. */
async function logOf(count: number, snapshots: readonly number[]) {
  const bucket = new FaultyBucket(freshBucket());
  const log = new Log(bucket);
  const entries: Entry[] = [];
  for (let number = 1; number <= count; number++) {
    const parts = [{ type: 'changes' as const, bytes: bytesOf(number) }];
    entries.push(entryOf(number, { parts, token: `token ${number}` }));
  }
  await Promise.all(entries.map((entry) => log.create(entry)));
  const folder = freshFolder();
  const snapshot = async (number: number) => {
    const file = join(folder, `${number}.db`);
    writeFileSync(file, String(number));
    const token = `token ${number}`;
    await storeSnapshot(bucket, file, { number, token, sqlite: '3.51.3', schema: '' });
  };
  for (const number of snapshots) await snapshot(number);
  return { bucket, log, entries, snapshot, folder };
}

/** Which entries these are, and that their bytes are theirs; to compare all bytes takes long. */
function told(entries: readonly Entry[]): string[] {
  return entries.map(({ number, token, parts: [part] }) => {
    const bytes = part?.type === 'changes' ? part.bytes : new Uint8Array();
    const same = Buffer.compare(bytes, bytesOf(number)) === 0;
    return `${number}: ${token}${same ? '' : ', with other bytes'}`;
  });
}

async function keys(bucket: FaultyBucket): Promise<Record<string, string[]>> {
  const found: Record<string, string[]> = {};
  for (const prefix of ['segments/', 'snapshots/', 'pieces/']) {
    const all = await bucket.list(prefix);
    found[prefix] = all.map((key) => String(Number(/\d{20}/.exec(key)?.[0])));
  }
  return found;
}

test.each([[[]], [[50]]])('nothing is collected with the snapshots %j', async (snapshots) => {
  const { bucket, log } = await logOf(60, snapshots);
  expect(await collect(log)).toEqual({ buried: 0, removed: 0, more: false });
  expect(await log.readMany(1, 100)).toMatchObject({ end: 'gap', entries: { length: 60 } });
  expect(bucket.count('remove')).toBe(0);
});

test('entries up to the second newest snapshot are buried, and all they had is removed', async () => {
  const { bucket, log, entries } = await logOf(100, [20, 40, 60]);
  await bucket.put('segments/00000000000000000033-an-orphan', new Uint8Array());
  await bucket.put('segments/00000000000000000077-not-yet-one', new Uint8Array());
  await bucket.put('segments/of-somebody-else', new Uint8Array());
  await bucket.put('pieces/00000000000000000030-an-orphan', new Uint8Array());
  // 8 segments up to entry 40, an orphan among them; a snapshot, its piece, and an orphan's.
  expect(await collect(log)).toEqual({ buried: 40, removed: 12, more: false });
  expect(await keys(bucket)).toEqual({
    'segments/': [
      '45',
      '50',
      '55',
      '60',
      '65',
      '70',
      '75',
      '77',
      '80',
      '85',
      '90',
      '95',
      '100',
      'NaN',
    ],
    'snapshots/': ['40', '60'],
    'pieces/': ['40', '60'],
  });
  for (const { number, token } of entries.slice(0, 40)) {
    expect(await log.read(number)).toBe('tombstone');
    expect(await log.tokenAt(number)).toBe(token);
    expect(await log.create(entryOf(number))).toBe('exists');
  }
  const behind = await log.readMany(41, 100);
  expect([told(behind.entries), behind.end]).toEqual([told(entries.slice(40)), 'gap']);
  expect(await log.head()).toBe(100);
  expect(await collect(log)).toEqual({ buried: 0, removed: 0, more: false });
});

test('a call does at most so much, and later ones do the rest', async () => {
  const { bucket, log } = await logOf(100, [20, 90, 95]);
  const calls: Collected[] = [];
  do {
    calls.push(await collect(log, { most: 25 }));
  } while (calls.at(-1)?.more);
  for (const { buried, removed } of calls) expect(buried + removed).toBeLessThanOrEqual(25);
  expect(calls.reduce((sum, { buried }) => sum + buried, 0)).toBe(90);
  expect(calls).toHaveLength(5);
  expect((await keys(bucket))['snapshots/']).toEqual(['90', '95']);
});

test('it costs few requests where there is nothing to do, and no more where much was done', async () => {
  const { bucket, log, snapshot } = await logOf(300, [200, 250]);
  await collect(log);
  const count = () => (['get', 'list', 'put', 'remove'] as const).map((each) => bucket.count(each));
  const before = count();
  await collect(log);
  const [get = 0, list = 0, put = 0, remove = 0] = count().map(
    (each, at) => each - (before[at] ?? 0),
  );
  expect([get, list, put, remove]).toEqual([5, 5, 0, 0]);
  await snapshot(260);
  const second = count();
  expect(await collect(log)).toMatchObject({ buried: 50 });
  const [gets = 0] = count().map((each, at) => each - (second[at] ?? 0));
  expect(gets).toBeLessThan(50 + 16 + 20);
});

test('those that collect at once do no harm, and all of it', async () => {
  const { bucket, log, entries } = await logOf(100, [20, 40, 60, 80]);
  bucket.faults = { latency: { get: [0, 3], put: [0, 3], remove: [0, 3], list: [0, 3] } };
  await Promise.all([
    collect(log),
    collect(log),
    collect(new Log(bucket)),
    collect(log, { most: 7 }),
  ]);
  expect(await collect(log)).toEqual({ buried: 0, removed: 0, more: false });
  const behind = await log.readMany(61, 100);
  expect([told(behind.entries), behind.end]).toEqual([told(entries.slice(60)), 'gap']);
  for (let number = 1; number <= 60; number++) expect(await log.read(number)).toBe('tombstone');
  const left = await keys(bucket);
  expect(left['snapshots/']).toEqual(['60', '80']);
  expect(left['pieces/']).toEqual(['60', '80']);
  expect(left['segments/']).toEqual(['65', '70', '75', '80', '85', '90', '95', '100']);
});

test('whoever is killed at any point leaves a log that is whole, and the next does the rest', async () => {
  const seed = Number(process.env.COLLECTION_SEED ?? randomInt(2 ** 31));
  console.log(`the seed of the collection's test is ${seed}`);
  const random = chance(seed);
  const { bucket, log, entries, snapshot, folder } = await logOf(60, [5, 10]);
  let fetched = 0;
  for (const newest of [20, 25, 50, 59]) {
    await snapshot(newest);
    for (let kills = 0; kills < KILLS; kills++) {
      let left = Math.floor(random() * 40);
      const dying = new FaultyBucket(bucket, {
        decide: () => (left-- > 0 ? undefined : random() < 0.5 ? 'lost request' : 'lost reply'),
      });
      await collect(new Log(dying), { most: 1 + Math.floor(random() * 50) }).catch((error) => {
        expect(error).toMatchObject({ name: 'BucketError' });
      });
      // Whoever starts now finds a snapshot, and every entry behind it.
      const number = (await log.newestSnapshot()) as number;
      expect(number).toBe(newest);
      const file = join(folder, `${fetched++}.fetched`);
      expect(await fetchSnapshot(bucket, number, file)).toMatchObject({
        bytes: String(number).length,
      });
      const behind = await log.readMany(number + 1, 1000);
      expect([told(behind.entries), behind.end]).toEqual([told(entries.slice(number)), 'gap']);
      // Whoever was away finds the entries that are left, or that it must start anew.
      const from = 1 + Math.floor(random() * 60);
      const { entries: read, end } = await log.readMany(from, 1000);
      expect(told(read)).toEqual(told(entries.slice(from - 1, from - 1 + read.length)));
      if (end === 'gap') expect(read.length).toBe(60 - from + 1);
    }
  }
  while ((await collect(log)).more);
  expect((await keys(bucket))['snapshots/']).toEqual(['50', '59']);
  for (let number = 1; number <= 50; number++) expect(await log.read(number)).toBe('tombstone');
  expect((await keys(bucket))['segments/']).toEqual(['55', '60']);
  expect((await keys(bucket))['pieces/']).toEqual(['50', '59']);
});

test('an entry that is missing gets a tombstone, and nobody is told that it was not theirs', async () => {
  const { bucket, log } = await logOf(60, [40, 50]);
  for (const number of [1, 7, 39]) await bucket.remove(entryKey(number));
  await collect(log);
  for (const number of [1, 7, 39]) {
    expect(await log.create(entryOf(number))).toBe('exists');
    await expect(log.tokenAt(number)).rejects.toThrow('nobody knows whose it was');
  }
});

test('an entry that is damaged stays as it is', async () => {
  const { bucket, log } = await logOf(60, [40, 50]);
  await bucket.put(entryKey(7), new Uint8Array(100));
  expect(await collect(log)).toMatchObject({ buried: 39 });
  await expect(log.tokenAt(7)).rejects.toThrow(DamagedError);
  expect(await collect(log)).toMatchObject({ buried: 0, more: false });
});

test.each<[string, (bucket: FaultyBucket) => Promise<unknown>, RegExp]>([
  [
    'the older of the two is damaged',
    (bucket) => bucket.put(snapshotKey(40), new Uint8Array(100)),
    /^the snapshot 40 is damaged/,
  ],
  [
    'the newest is damaged',
    (bucket) => bucket.put(snapshotKey(50), new Uint8Array(100)),
    /^the snapshot 50 is damaged/,
  ],
  [
    'a piece is missing',
    async (bucket) => {
      const snapshot = await readSnapshot(bucket, 40);
      await bucket.remove(snapshot?.pieces[0]?.key as string);
    },
    /^the snapshot 40 is damaged: a piece of it is missing/,
  ],
  [
    'one is of another log',
    async (bucket) => bucket.put(entryKey(50), await encodeTombstone({ number: 50, token: 'x' })),
    /^the snapshot 50 is damaged: it is of another entry 50/,
  ],
  [
    'an entry is of a newer format',
    async (bucket) => {
      const body = (await bucket.get(entryKey(20))) as Uint8Array;
      body[8] = 2;
      await bucket.put(entryKey(20), body);
    },
    /^the log entry 20 is in format 2/,
  ],
])('nothing is removed where %s', async (_what, harm, says) => {
  const { bucket, log } = await logOf(60, [10, 40, 50]);
  await harm(bucket);
  await expect(collect(log)).rejects.toThrow(says);
  expect(bucket.count('remove')).toBeLessThanOrEqual(1);
  expect((await keys(bucket))['snapshots/']).toEqual(['10', '40', '50']);
});
