import { expect, test } from 'vitest';
import type { Bucket } from '../src/bucket.js';
import { probe } from '../src/probe.js';
import { S3Bucket } from '../src/s3-bucket.js';
import { FaultyBucket } from './support/faulty-bucket.js';
import { freshBucket } from './support/fresh.js';
import { S3TestServer } from './support/s3-server.js';

async function s3() {
  const server = await S3TestServer.start();
  return { server, bucket: new S3Bucket({ bucket: server.bucket, client: server.client }) };
}

test('a bucket that honours conditional writes is taken, and nothing stays in it', async () => {
  const folder = freshBucket();
  await probe(folder);
  expect(await folder.list('')).toEqual([]);
  const { server, bucket } = await s3();
  await probe(bucket);
  expect(server.objects.size).toBe(0);
});

test('a bucket that ignores the condition is refused, and nothing stays in it', async () => {
  const { server, bucket } = await s3();
  server.conditional = false;
  await expect(probe(bucket)).rejects.toMatchObject({
    code: 'POOL_OPTIONS',
    message: expect.stringMatching(/^s3:\/\/logs\/ cannot keep a log: it ignores the condition/),
  });
  expect(server.objects.size).toBe(0);
});

test('a request that was repeated on its way is no reason to refuse a bucket', async () => {
  const bucket = new FaultyBucket(freshBucket(), {
    decide: (operation, _key, count) =>
      operation === 'create' && count === 1 ? 'repeated' : undefined,
  });
  await probe(bucket);
  expect(bucket.count('create')).toBe(3);
  expect(await bucket.list('')).toEqual([]);
});

const folder = () => freshBucket();
test.each<[string, (bucket: Bucket) => Partial<Bucket>, RegExp]>([
  ['says of a new key that it exists', () => ({ create: async () => 'exists' }), /that it exists/],
  ['makes things up', () => ({ get: async () => new Uint8Array() }), /nobody has stored/],
  ['forgets', () => ({ get: async () => undefined }), /does not keep what was stored first/],
  ['lists nothing', () => ({ list: async () => [] }), /its listing does not have/],
  [
    'replaces what it says exists',
    (bucket) => ({
      create: async (key, body) => {
        const result = await bucket.create(key, body);
        if (result === 'exists') await bucket.put(key, body);
        return result;
      },
    }),
    /does not keep what was stored first/,
  ],
])('a bucket that %s is refused', async (_what, wrong, says) => {
  const bucket = folder();
  const plain: Bucket = {
    where: 'wrong',
    get: (key) => bucket.get(key),
    create: (key, body) => bucket.create(key, body),
    put: (key, body) => bucket.put(key, body),
    list: (prefix, after) => bucket.list(prefix, after),
    remove: (key) => bucket.remove(key),
  };
  const error = await probe({ ...plain, ...wrong(bucket) }).catch((reason: unknown) => reason);
  expect(error).toMatchObject({ code: 'POOL_OPTIONS' });
  expect((error as Error).message).toMatch(says);
});

test.each(['GET', 'PUT', 'DELETE'])('a right that is missing is named: %s', async (method) => {
  const { server, bucket } = await s3();
  server.fault = (request) =>
    request.method === method ? { status: 403, code: 'AccessDenied' } : undefined;
  await expect(probe(bucket)).rejects.toMatchObject({
    name: 'BucketError',
    definite: true,
    message: expect.stringContaining('its credentials need s3:GetObject, s3:PutObject'),
  });
});
