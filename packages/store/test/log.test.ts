import { randomBytes } from 'node:crypto';
import { expect, test } from 'vitest';
import type { Bucket } from '../src/bucket.js';
import { type Entry, encodeTombstone } from '../src/entry.js';
import { DamagedError } from '../src/envelope.js';
import { entryKey } from '../src/keys.js';
import { Log } from '../src/log.js';
import { entryOf } from './support/entries.js';
import { FaultyBucket } from './support/faulty-bucket.js';
import { freshBucket } from './support/fresh.js';

const large = (bytes: number): Entry['parts'] => [
  { type: 'changes', bytes: new Uint8Array(randomBytes(bytes)) },
];

/** A log with so many entries, and what was asked of its bucket since. */
async function logOf(count: number): Promise<{ log: Log; bucket: FaultyBucket; entries: Entry[] }> {
  const plain = freshBucket();
  const entries = Array.from({ length: count }, (_, at) => entryOf(at + 1));
  const filling = new Log(plain);
  await Promise.all(entries.map((entry) => filling.create(entry)));
  const bucket = new FaultyBucket(plain);
  return { log: new Log(bucket), bucket, entries };
}

async function bury(bucket: Bucket, number: number): Promise<void> {
  await bucket.put(entryKey(number), await encodeTombstone({ number, token: 'whose' }));
}

test('an entry is created once, and read', async () => {
  const { log } = await logOf(0);
  const [first, second] = [entryOf(1), entryOf(1)];
  expect(await log.read(1)).toBeUndefined();
  expect(await log.tokenAt(1)).toBeUndefined();
  expect(await log.create(first)).toBe('created');
  expect(await log.create(second)).toBe('exists');
  expect(await log.read(1)).toEqual(first);
  expect(await log.tokenAt(1)).toBe(first.token);
});

test.each([
  ['small', 1000, 0],
  ['just small enough', 256 * 1024, 0],
  ['one byte too large', 256 * 1024 + 1, 1],
  ['of two segments', 9 * 1024 * 1024, 2],
])('an entry that is %s has what segments it needs', async (_what, bytes, segments) => {
  const { log, bucket } = await logOf(0);
  const entry = entryOf(1, {
    parts: [
      { type: 'changes', bytes: new Uint8Array() },
      ...large(bytes - 20),
      { type: 'ddl', sql: 'CREATE TABLE t (a) /*'.slice(0, 20) },
      { type: 'changes', bytes: new Uint8Array() },
    ],
  });
  expect(await log.create(entry)).toBe('created');
  const keys = await bucket.list('segments/');
  expect(keys).toHaveLength(segments);
  for (const key of keys) expect(key).toMatch(/^segments\/00000000000000000001-[0-9a-f-]{36}$/);
  // To compare megabytes one by one takes long.
  const back = (await log.read(1)) as Entry;
  for (const [at, part] of back.parts.entries()) {
    const own = entry.parts[at];
    if (part.type === 'ddl' || own === undefined || own.type === 'ddl') expect(part).toEqual(own);
    else expect(Buffer.compare(part.bytes, own.bytes)).toBe(0);
  }
  expect({ ...back, parts: [] }).toEqual({ ...entry, parts: [] });
  expect(back.parts).toHaveLength(4);
});

test('an entry that is created again sends the same bytes, and its segments once', async () => {
  const { log, bucket } = await logOf(0);
  const entry = entryOf(1, { parts: large(300_000) });
  bucket.faults = { decide: (operation) => (operation === 'create' ? 'lost request' : undefined) };
  await expect(log.create(entry)).rejects.toMatchObject({ definite: false });
  await expect(log.create(entry)).rejects.toMatchObject({ definite: false });
  bucket.faults = {};
  expect(await log.create(entry)).toBe('created');
  expect(bucket.count('put')).toBe(1);
  expect(await log.read(1)).toEqual(entry);
});

test('segments that could not be stored are stored by the next try', async () => {
  const { log, bucket } = await logOf(0);
  const entry = entryOf(1, { parts: large(300_000) });
  bucket.faults = { decide: (operation) => (operation === 'put' ? 'refused' : undefined) };
  await expect(log.create(entry)).rejects.toMatchObject({ definite: true });
  expect(bucket.count('create')).toBe(0);
  bucket.faults = {};
  expect(await log.create(entry)).toBe('created');
  expect(await log.read(1)).toEqual(entry);
});

test('a segment of which nobody knows is sent again; without it, no entry certainly is', async () => {
  const { log, bucket } = await logOf(0);
  const entry = entryOf(1, { parts: large(300_000) });
  bucket.faults = {
    decide: (operation, _key, count) =>
      operation === 'put' && count < 3 ? 'lost reply' : undefined,
  };
  expect(await log.create(entry)).toBe('created');
  expect(bucket.count('put')).toBe(3);
  expect(await bucket.list('segments/')).toHaveLength(1);
  bucket.faults = { decide: (operation) => (operation === 'put' ? 'lost reply' : undefined) };
  const second = entryOf(2, { parts: large(300_000) });
  await expect(log.create(second)).rejects.toMatchObject({ name: 'BucketError', definite: true });
  expect(await log.tokenAt(2)).toBeUndefined();
});

test('an entry that is refused after it was sent in vain may still arrive', async () => {
  const { log, bucket } = await logOf(0);
  const [entry, other] = [entryOf(1), entryOf(1)];
  bucket.faults = { decide: (_operation, _key, count) => (count === 1 ? 'late' : 'refused') };
  await expect(log.create(entry)).rejects.toMatchObject({ definite: false });
  await expect(log.create(entry)).rejects.toMatchObject({ name: 'BucketError', definite: false });
  await expect(log.create(other)).rejects.toMatchObject({ definite: true });
  bucket.faults = {};
  await bucket.land();
  expect(await log.tokenAt(1)).toBe(entry.token);
});

test('a reply that is lost leaves an entry of which the token tells whose it is', async () => {
  const { log, bucket } = await logOf(0);
  const entry = entryOf(1);
  bucket.faults = {
    decide: (operation, _key, count) =>
      operation === 'create' && count === 1 ? 'lost reply' : 'none',
  };
  await expect(log.create(entry)).rejects.toMatchObject({ definite: false });
  expect(await log.create(entry)).toBe('exists');
  expect(await log.tokenAt(1)).toBe(entry.token);
});

test('the token of an entry is still told when it was collected', async () => {
  const { log, entries } = await logOf(1);
  expect(await log.bury(1)).toBe('buried');
  expect(await log.bury(1)).toBe('was buried');
  expect(await log.read(1)).toBe('tombstone');
  expect(await log.tokenAt(1)).toBe(entries[0]?.token);
  expect(await log.create(entryOf(1))).toBe('exists');
});

test('many entries are read in order, at most so many, up to the end', async () => {
  const { log, entries } = await logOf(100);
  expect(await log.readMany(1, 1000)).toEqual({ entries, end: 'gap' });
  expect(await log.readMany(91, 1000)).toEqual({ entries: entries.slice(90), end: 'gap' });
  expect(await log.readMany(1, 40)).toEqual({ entries: entries.slice(0, 40), end: 'more' });
  expect(await log.readMany(101, 10)).toEqual({ entries: [], end: 'gap' });
});

test('reading at the end of the log costs one request, and 32 are under way at most', async () => {
  const { log, bucket } = await logOf(200);
  await log.readMany(201, 1000);
  expect(bucket.count('get')).toBe(1);
  let underWay = 0;
  let most = 0;
  let goOn = () => {};
  const together = new Promise<void>((resolve) => {
    goOn = resolve;
  });
  bucket.faults = {
    latency: { get: [0, 2] },
    before: (_, key) => {
      most = Math.max(most, ++underWay);
      if (most === 32) goOn();
      // By then it has begun as many as it may, however fast they are answered.
      return Number(key.slice('log/'.length)) < 70 ? undefined : together;
    },
    after: () => underWay--,
  };
  expect((await log.readMany(1, 1000)).entries).toHaveLength(200);
  expect(most).toBe(32);
  expect(bucket.count('get')).toBeLessThanOrEqual(1 + 200 + 32);
});

test('whoever reads many entries lets others have their turns', async () => {
  const bodies = new Map<string, Uint8Array>();
  const bucket: Bucket = {
    where: 'memory',
    get: async (key) => bodies.get(key),
    put: async (key, body) => void bodies.set(key, body),
    create: async (key, body) => {
      bodies.set(key, body);
      return 'created';
    },
    list: async () => [],
    remove: async () => {},
  };
  const log = new Log(bucket);
  for (let number = 1; number <= 100; number++) await log.create(entryOf(number));
  let turns = 0;
  const count = () => {
    turns++;
    next = setImmediate(count);
  };
  let next = setImmediate(count);
  await log.readMany(1, 1000);
  clearImmediate(next);
  expect(turns).toBeGreaterThanOrEqual(100);
});

test('nothing behind a tombstone, or behind a gap, is given', async () => {
  const { log, bucket, entries } = await logOf(50);
  await bury(bucket, 20);
  expect(await log.readMany(1, 100)).toEqual({ entries: entries.slice(0, 19), end: 'tombstone' });
  expect(await log.readMany(20, 100)).toEqual({ entries: [], end: 'tombstone' });
  await bucket.remove(entryKey(10));
  expect(await log.readMany(1, 100)).toEqual({ entries: entries.slice(0, 9), end: 'gap' });
});

test('a request that fails in a row of them is thrown, with nothing left under way', async () => {
  const { log, bucket } = await logOf(100);
  let underWay = 0;
  bucket.faults = {
    decide: (operation, key) =>
      operation === 'get' && key === entryKey(50) ? 'lost reply' : undefined,
    before: () => underWay++,
    after: () => underWay--,
  };
  await expect(log.readMany(1, 100)).rejects.toThrow(entryKey(50));
  expect(underWay).toBe(0);
});

test('entries are given out when they have become many bytes', async () => {
  const { log } = await logOf(0);
  const parts = [{ type: 'changes' as const, bytes: new Uint8Array(400_000) }];
  for (const number of [1, 2, 3]) await log.create(entryOf(number, { parts }));
  const first = await log.readMany(1, 10, { mostBytes: 500_000 });
  expect(first.entries.map(({ number }) => number)).toEqual([1, 2]);
  expect(first.end).toBe('more');
  expect((await log.readMany(3, 10, { mostBytes: 500_000 })).end).toBe('gap');
});

test('an entry that is collected while it is read is a tombstone', async () => {
  const { log, bucket } = await logOf(0);
  await log.create(entryOf(1, { parts: large(300_000) }));
  bucket.faults = {
    before: async (operation, key) => {
      if (operation !== 'get' || !key.startsWith('segments/')) return;
      await bury(bucket, 1);
      await bucket.remove(key);
    },
  };
  expect(await log.read(1)).toBe('tombstone');
});

test.each([
  ['is missing', (bucket: Bucket, key: string) => bucket.remove(key), /a segment of it is missing/],
  [
    'is cut off',
    async (bucket: Bucket, key: string) => {
      const body = (await bucket.get(key)) as Uint8Array;
      await bucket.put(key, body.subarray(0, -1));
    },
    /its checksum is wrong/,
  ],
  [
    'is that of another entry',
    async (bucket: Bucket, key: string) => {
      const other = new Log(bucket);
      await other.create(entryOf(2, { parts: large(300_000) }));
      const [, second = ''] = await bucket.list('segments/');
      await bucket.put(key, (await bucket.get(second)) as Uint8Array);
    },
    /is not what it was made with/,
  ],
])('an entry of which a segment %s is damaged', async (_what, harm, says) => {
  const { log, bucket } = await logOf(0);
  await log.create(entryOf(1, { parts: large(300_000) }));
  const [key = ''] = await bucket.list('segments/');
  await harm(bucket, key);
  const error = await log.read(1).catch((reason: unknown) => reason);
  expect(error).toBeInstanceOf(DamagedError);
  expect((error as Error).message).toMatch(/^the log entry 1.* is damaged: /);
  expect((error as Error).message).toMatch(says);
});

test('an object of somebody else in the place of an entry is named', async () => {
  const { log, bucket } = await logOf(0);
  await bucket.put(entryKey(1), new TextEncoder().encode('hello'.repeat(100)));
  await expect(log.read(1)).rejects.toThrow(
    'the log entry 1 is damaged: it does not begin as one does',
  );
});

/** A bucket whose log has so many entries, of which only the keys are ever asked for. */
function keysAlone(last: number): { bucket: Bucket; lists: () => number } {
  let lists = 0;
  const none = async (): Promise<never> => {
    throw new Error('not asked for');
  };
  const list = async (_prefix: string, after = '') => {
    lists++;
    const from = Number(after.slice(4)) + 1;
    const length = Math.max(0, Math.min(1000, last - from + 1));
    return Array.from({ length }, (_, at) => entryKey(from + at));
  };
  const bucket = { where: 'keys', get: none, create: none, put: none, remove: none, list };
  return { bucket, lists: () => lists };
}

test.each([0, 1, 999, 1000, 1001, 1999, 2000, 2001, 12_345, 1_000_000, 99_999_999])(
  'the end of a log of %i entries is found from anywhere, in few requests',
  async (last) => {
    for (const from of [0, 1, 500, last - 1000, last - 1, last]) {
      if (from < 0 || from > last) continue;
      const { bucket, lists } = keysAlone(last);
      expect(await new Log(bucket).head(from), `from ${from}`).toBe(last);
      expect(lists()).toBeLessThanOrEqual(2 + 3 * Math.ceil(Math.log2(2 + last / 1000)));
    }
  },
);

test('snapshots are told in order, whatever else is there', async () => {
  const { log, bucket } = await logOf(0);
  expect(await log.newestSnapshot()).toBeUndefined();
  for (const key of ['00000000000000000012', '00000000000000000002', 'notes', '5']) {
    await bucket.put(`snapshots/${key}`, new Uint8Array());
  }
  expect(await log.snapshots()).toEqual([2, 12]);
  expect(await log.newestSnapshot()).toBe(12);
});
