import { randomBytes } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { DamagedError, seal } from '../src/envelope.js';
import { snapshotKey } from '../src/keys.js';
import {
  checkPieces,
  fetchSnapshot,
  readSnapshot,
  type Snapshot,
  storeSnapshot,
} from '../src/snapshots.js';
import { FaultyBucket } from './support/faulty-bucket.js';
import { freshBucket, freshFolder } from './support/fresh.js';

/** The size of a piece in most of these tests. */
const PIECE = 100_000;
const small = { pieceBytes: PIECE };

const head = (number: number) => ({
  number,
  token: `token ${number}`,
  sqlite: '3.51.3',
  schema: 'a hash',
});

/** Pages of a database: some that compress, some that do not. */
function fileOf(bytes: number): { folder: string; file: string; content: Buffer } {
  const folder = freshFolder();
  const file = join(folder, 'copy.db');
  const content = Buffer.alloc(bytes);
  for (let at = 0; at < bytes; at += 10_000) randomBytes(1000).copy(content, at);
  writeFileSync(file, content);
  return { folder, file, content };
}

async function stored(bytes = 100_000) {
  const bucket = new FaultyBucket(freshBucket());
  const made = fileOf(bytes);
  expect(await storeSnapshot(bucket, made.file, head(7), small)).toBe('created');
  return { bucket, ...made, target: join(made.folder, 'fetched.db') };
}

test.each([
  ['nothing', 0, 0],
  ['one byte', 1, 1],
  ['one piece', PIECE, 1],
  ['three pieces', 2 * PIECE + 4096, 3],
])('a file of %s comes back as it was', async (_what, bytes, pieces) => {
  const { bucket, content, target } = await stored(bytes);
  const snapshot = (await fetchSnapshot(bucket, 7, target)) as Snapshot;
  expect(snapshot).toMatchObject({ ...head(7), bytes });
  expect(snapshot.pieces).toHaveLength(pieces);
  expect(Buffer.compare(readFileSync(target), content)).toBe(0);
  expect(await readSnapshot(bucket, 7)).toEqual(snapshot);
  await checkPieces(bucket, snapshot);
  expect(await bucket.list('pieces/')).toHaveLength(pieces);
});

test('pieces have 8 MiB where nothing else is said', async () => {
  const bucket = freshBucket();
  const { file } = fileOf(8 * 1024 * 1024 + 1);
  await storeSnapshot(bucket, file, head(7));
  const snapshot = await readSnapshot(bucket, 7);
  expect(snapshot?.pieces.map(({ bytes }) => bytes)).toEqual([8 * 1024 * 1024, 1]);
});

test('a file that is there already is not written to', async () => {
  const { bucket, file, content } = await stored();
  await expect(fetchSnapshot(bucket, 7, file)).rejects.toMatchObject({ code: 'EEXIST' });
  expect(Buffer.compare(readFileSync(file), content)).toBe(0);
});

test('of two that store the same snapshot one is told so, and the other leaves nothing', async () => {
  const bucket = freshBucket();
  const { file, folder } = fileOf(PIECE + 1);
  const results = await Promise.all(
    [1, 2, 3].map(() => storeSnapshot(bucket, file, head(7), small)),
  );
  expect(results.sort()).toEqual(['created', 'exists', 'exists']);
  expect(await bucket.list('pieces/')).toHaveLength(2);
  expect(await fetchSnapshot(bucket, 7, join(folder, 'fetched.db'))).toBeDefined();
});

test('a request that is repeated on its way does not take a snapshot for that of another', async () => {
  const { file, folder } = fileOf(100_000);
  const bucket = new FaultyBucket(freshBucket(), {
    decide: (operation) => (operation === 'create' ? 'repeated' : undefined),
  });
  expect(await storeSnapshot(bucket, file, head(7), small)).toBe('created');
  expect(await fetchSnapshot(bucket, 7, join(folder, 'fetched.db'))).toBeDefined();
});

test.each([
  ['lost request', false],
  ['lost reply', true],
  ['late', true],
] as const)('a snapshot that may be stored yet keeps its pieces: %s', async (fault, there) => {
  const { file, folder } = fileOf(100_000);
  const bucket = new FaultyBucket(freshBucket(), {
    decide: (operation) => (operation === 'create' ? fault : undefined),
  });
  await expect(storeSnapshot(bucket, file, head(7), small)).rejects.toMatchObject({
    definite: false,
  });
  await bucket.land();
  expect(await bucket.list('pieces/')).toHaveLength(1);
  const fetched = await fetchSnapshot(bucket, 7, join(folder, 'fetched.db'));
  expect(fetched !== undefined).toBe(there);
});

test.each(['put', 'create'] as const)(
  'what could not be stored leaves nothing: %s',
  async (what) => {
    const { file } = fileOf(PIECE + 1);
    const bucket = new FaultyBucket(freshBucket(), {
      decide: (operation, _key, count) =>
        operation === what && (what === 'create' || count === 2) ? 'refused' : undefined,
    });
    await expect(storeSnapshot(bucket, file, head(7), small)).rejects.toMatchObject({
      definite: true,
    });
    expect(await bucket.list('')).toEqual([]);
  },
);

test('a signal ends storing and fetching, which leave nothing', async () => {
  const { bucket, file, target } = await stored(4 * PIECE);
  const plain = freshBucket();
  const controller = new AbortController();
  const stopping = new FaultyBucket(plain, { before: () => controller.abort(new Error('enough')) });
  const { signal } = controller;
  await expect(storeSnapshot(stopping, file, head(8), { ...small, signal })).rejects.toThrow(
    'enough',
  );
  expect(await plain.list('')).toEqual([]);
  const second = new AbortController();
  bucket.faults = { before: (_operation, key) => key.startsWith('pieces/') && second.abort() };
  await expect(fetchSnapshot(bucket, 7, target, { signal: second.signal })).rejects.toMatchObject({
    name: 'AbortError',
  });
  expect(existsSync(target)).toBe(false);
});

test('no more than a few pieces are under way at once', async () => {
  const { bucket, file, target } = await stored(5 * PIECE);
  let underWay = 0;
  let most = 0;
  const faults = {
    latency: { get: 2, put: 2 },
    before: () => {
      most = Math.max(most, ++underWay);
    },
    after: () => underWay--,
  };
  bucket.faults = faults;
  await fetchSnapshot(bucket, 7, target);
  await storeSnapshot(new FaultyBucket(freshBucket(), faults), file, head(7), small);
  expect(most).toBeLessThanOrEqual(4);
  expect(most).toBeGreaterThan(1);
});

test('a snapshot that was never made, or is collected meanwhile, is gone', async () => {
  const { bucket, target } = await stored(3 * PIECE);
  expect(await fetchSnapshot(bucket, 6, target)).toBeUndefined();
  const [, piece = ''] = await bucket.list('pieces/');
  bucket.faults = {
    after: async (operation, key) => {
      if (operation !== 'get' || key !== snapshotKey(7)) return;
      bucket.faults = {};
      await bucket.remove(key);
      await bucket.remove(piece);
    },
  };
  expect(await fetchSnapshot(bucket, 7, target)).toBeUndefined();
  expect(existsSync(target)).toBe(false);
});

test('a snapshot of which a piece is missing is damaged', async () => {
  const { bucket, target } = await stored(3 * PIECE);
  const snapshot = (await readSnapshot(bucket, 7)) as Snapshot;
  await bucket.remove(snapshot.pieces[1]?.key as string);
  const says = /^the snapshot 7 is damaged: a piece of it is missing in .* lifecycle rule/;
  await expect(fetchSnapshot(bucket, 7, target)).rejects.toThrow(says);
  await expect(checkPieces(bucket, snapshot)).rejects.toThrow(says);
  expect(existsSync(target)).toBe(false);
});

test('a piece that is damaged, or another, is refused', async () => {
  const { bucket, target } = await stored(2 * PIECE);
  const [one, two] = ((await readSnapshot(bucket, 7)) as Snapshot).pieces;
  const body = Buffer.from((await bucket.get(one?.key as string)) as Uint8Array);
  body[1000] = (body[1000] as number) ^ 1;
  await bucket.put(one?.key as string, body);
  await expect(fetchSnapshot(bucket, 7, target)).rejects.toThrow('its checksum is wrong');
  const other = (await bucket.get(two?.key as string)) as Uint8Array;
  await bucket.put(one?.key as string, other);
  await expect(fetchSnapshot(bucket, 7, target)).rejects.toThrow('is not what it was made of');
  expect(existsSync(target)).toBe(false);
});

const piece = (digit: string) => `pieces/00000000000000000007-${digit.repeat(36)}`;
const whole = { ...head(7), bytes: 1, pieces: [[piece('a'), 'sum', 1]] };
test.each<[what: string, wrong: unknown, says: string]>([
  ['another number', { ...whole, number: 8, pieces: [], bytes: 0 }, 'it is snapshot 8'],
  ['no number', { ...whole, number: -1 }, 'it has no number'],
  ['no token', { ...whole, token: 7 }, 'it says not of what'],
  ['a token that is too long', { ...whole, token: 'x'.repeat(5000) }, 'it says not of what'],
  ['no size', { ...whole, bytes: '1' }, 'it has no size'],
  ['another size', { ...whole, bytes: 2 }, 'its pieces have 1 bytes, and it has 2'],
  ['no pieces', { ...whole, pieces: {} }, 'it has no pieces'],
  ['a piece elsewhere', { ...whole, pieces: [['log/1', 'sum', 1]] }, 'what it says of a piece'],
  [
    'a piece of another',
    { ...whole, pieces: [[piece('a').replace('7', '8'), 'sum', 1]] },
    'what it says of a piece',
  ],
  ['a piece that is too large', { ...whole, pieces: [[piece('a'), 'sum', 2 ** 30]] }, 'of a piece'],
  ['nothing', null, 'it has no number'],
])('a snapshot with %s is refused', async (_what, wrong, says) => {
  const bucket = freshBucket();
  await bucket.put(snapshotKey(7), await seal('snapshot', Buffer.from(JSON.stringify(wrong))));
  const error = await readSnapshot(bucket, 7).catch((reason: unknown) => reason);
  expect(error).toBeInstanceOf(DamagedError);
  expect((error as Error).message).toMatch(/^the snapshot 7 is damaged: /);
  expect((error as Error).message).toContain(says);
});
