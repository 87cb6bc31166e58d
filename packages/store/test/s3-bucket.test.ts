import { S3Client } from '@aws-sdk/client-s3';
import { PoolError } from '@poolite/core';
import { describe, expect, test } from 'vitest';
import { BucketError, MOST_KEYS } from '../src/bucket.js';
import { S3Bucket, type S3BucketOptions } from '../src/s3-bucket.js';
import { bucketContract } from './support/bucket-contract.js';
import { type S3Fault, S3TestServer } from './support/s3-server.js';

const bytes = (text: string) => new TextEncoder().encode(text);

async function start(options: Partial<S3BucketOptions> = {}) {
  const server = await S3TestServer.start();
  const bucket = new S3Bucket({
    bucket: server.bucket,
    prefix: 'shop',
    client: server.client,
    ...options,
  });
  return { server, bucket };
}

async function failure(promise: Promise<unknown>): Promise<BucketError> {
  const error = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(BucketError);
  return error as BucketError;
}

bucketContract(
  'S3',
  async () => {
    const server = await S3TestServer.start();
    return () => new S3Bucket({ bucket: server.bucket, prefix: 'a/b', client: server.client });
  },
  { races: 3, contenders: 10, largest: 3_000_000, pages: false },
);

test('keys are below the prefix, and others outside of it are not seen', async () => {
  const { server, bucket } = await start({ prefix: '/shop/7/' });
  server.objects.set('shop/77/log/1', Buffer.from('another'));
  expect(bucket.where).toBe('s3://logs/shop/7/');
  await bucket.create('log/1', bytes('one'));
  expect([...server.objects.keys()]).toEqual(['shop/77/log/1', 'shop/7/log/1']);
  expect(await bucket.list('')).toEqual(['log/1']);
  const whole = new S3Bucket({ bucket: 'logs', client: server.client });
  expect(whole.where).toBe('s3://logs/');
  expect(await whole.list('')).toEqual(['shop/7/log/1', 'shop/77/log/1']);
});

test('a listing has at most a page of keys', async () => {
  const { server, bucket } = await start();
  const keys = Array.from({ length: MOST_KEYS + 5 }, (_, n) => `log/${10_000 + n}`);
  for (const key of keys) server.objects.set(`shop/${key}`, Buffer.alloc(0));
  const page = await bucket.list('log/');
  expect(page).toEqual(keys.slice(0, MOST_KEYS));
  expect(await bucket.list('log/', page.at(-1))).toEqual(keys.slice(MOST_KEYS));
});

test('a client that there is will do', async () => {
  const { server } = await start();
  const client = new S3Client(server.client);
  const bucket = new S3Bucket({ bucket: server.bucket, client });
  expect(await bucket.create('log/1', bytes('one'))).toBe('created');
  expect(await bucket.create('log/1', bytes('two'))).toBe('exists');
  client.destroy();
});

/** An answer, whether the request certainly had no effect, and what the message says. */
const answers: readonly [status: number, code: string, definite: boolean, says: string][] = [
  [403, 'AccessDenied', true, 's3:GetObject, s3:PutObject and s3:DeleteObject'],
  [403, 'SomethingNew', true, 's3:ListBucket on the bucket'],
  [403, 'InvalidAccessKeyId', true, "correct 'client.credentials'"],
  [403, 'SignatureDoesNotMatch', true, 'the secret key is wrong'],
  [403, 'RequestTimeTooSkewed', true, "this machine's clock is wrong"],
  [400, 'ExpiredToken', true, 'the credentials have expired'],
  [400, 'AuthorizationHeaderMalformed', true, "correct 'client.region'"],
  [400, 'InvalidArgument', true, 'InvalidArgument it is'],
  [404, 'NoSuchBucket', true, "correct the option 'bucket'"],
  [405, 'MethodNotAllowed', true, 'MethodNotAllowed it is'],
  [501, 'NotImplemented', true, "no conditional writes (If-None-Match: '*')"],
  [400, 'RequestTimeout', false, 'RequestTimeout it is'],
  [409, 'ConditionalRequestConflict', false, 'ConditionalRequestConflict it is'],
  [429, 'TooManyRequests', false, 'TooManyRequests it is'],
  [500, 'InternalError', false, 'InternalError it is'],
  [503, 'SlowDown', false, 'SlowDown it is'],
];

describe.each(answers)('the answer %i %s', (status, code, definite, says) => {
  test(`${definite ? 'says that nothing was done' : 'leaves open what was done'}: ${says}`, async () => {
    const { server, bucket } = await start();
    server.fault = () => ({ status, code });
    for (const [what, attempt] of [
      ['cannot store log/1 in', () => bucket.create('log/1', bytes('x'))],
      ['cannot store log/1 in', () => bucket.put('log/1', bytes('x'))],
      ['cannot read log/1 in', () => bucket.get('log/1')],
      ['cannot list log/ in', () => bucket.list('log/')],
      ['cannot remove log/1 from', () => bucket.remove('log/1')],
    ] as const) {
      const error = await failure(attempt());
      expect(error.message).toContain(`${what} s3://logs/shop/: ${code}`);
      expect(error.message).toContain(says);
      expect(error.definite, what).toBe(definite);
      expect(error.cause).toBeInstanceOf(Error);
    }
  });
});

test('a bucket that is not there is named', async () => {
  const { server } = await start();
  const bucket = new S3Bucket({ bucket: 'other', client: server.client });
  const error = await failure(bucket.get('log/1'));
  expect(error.definite).toBe(true);
  expect(error.message).toContain('s3://other/: NoSuchBucket');
});

test('a request that is refused after it was repeated may have had an effect before', async () => {
  const { server } = await start();
  const bucket = new S3Bucket({ bucket: 'logs', client: { ...server.client, maxAttempts: 3 } });
  server.fault = ({ count }) =>
    count === 0 ? 'failed after' : { status: 403, code: 'AccessDenied' };
  const error = await failure(bucket.create('log/1', bytes('one')));
  expect(server.requests).toEqual(['PUT log/1', 'PUT log/1']);
  expect(server.objects.has('log/1')).toBe(true);
  expect(error.definite).toBe(false);
});

test("a request that the SDK repeats meets its own object: 'exists'", async () => {
  const { server } = await start();
  const bucket = new S3Bucket({ bucket: 'logs', client: { ...server.client, maxAttempts: 3 } });
  server.fault = ({ count }) => (count === 0 ? 'failed after' : undefined);
  expect(await bucket.create('log/1', bytes('one'))).toBe('exists');
  expect(server.objects.get('log/1')?.toString()).toBe('one');
});

test.each<[S3Fault, stored: boolean]>([
  ['reset', false],
  ['reset after', true],
])('where the connection is lost (%s), nobody knows what was done', async (fault, stored) => {
  const { server, bucket } = await start();
  server.fault = () => fault;
  const error = await failure(bucket.create('log/1', bytes('one')));
  expect(error.definite).toBe(false);
  expect(server.objects.has('shop/log/1')).toBe(stored);
});

test('a server that does not answer is given up after the limit, which is told', async () => {
  const { server, bucket } = await start({ timeout: 50 });
  server.fault = () => 'silence';
  for (const attempt of [
    () => bucket.create('log/1', new Uint8Array(2560)),
    () => bucket.get('log/1'),
    () => bucket.list('log/'),
    () => bucket.remove('log/1'),
  ]) {
    const error = await failure(attempt());
    expect(error.message).toMatch(/s3:\/\/logs\/shop\/: no answer within [56]0 ms$/);
    expect(error.definite).toBe(false);
  }
});

test.each<[S3Fault, string]>([
  ['half', 'cannot read log/1 in'],
  ['half, then silence', 'no answer within 200 ms'],
])('a body of which half arrives (%s) is no object', async (fault, says) => {
  const { server, bucket } = await start({ timeout: 200 });
  server.objects.set('shop/log/1', Buffer.alloc(10_000, 7));
  server.fault = () => fault;
  const error = await failure(bucket.get('log/1'));
  expect(error.message).toContain(says);
});

test('a server that nobody runs leaves open what was done', async () => {
  const client = { ...(await start()).server.client, endpoint: 'http://127.0.0.1:1' };
  const error = await failure(new S3Bucket({ bucket: 'logs', client }).get('log/1'));
  expect(error.message).toContain('ECONNREFUSED');
  expect(error.definite).toBe(false);
});

test('an object that is larger than any of the log is neither read nor stored', async () => {
  const { server, bucket } = await start();
  server.objects.set('shop/log/1', Buffer.alloc(65 * 1024 * 1024));
  expect((await failure(bucket.get('log/1'))).message).toContain('larger than any object');
  const error = await failure(bucket.put('log/1', new Uint8Array(65 * 1024 * 1024)));
  expect(error.definite).toBe(true);
});

test.each<[options: unknown, option: string]>([
  [{}, 'bucket'],
  [{ bucket: '' }, 'bucket'],
  [{ bucket: 's3://logs' }, 'bucket'],
  [{ bucket: 'logs--use1-az5--x-s3' }, 'bucket'],
  [{ bucket: 'logs', prefix: 7 }, 'prefix'],
  [{ bucket: 'logs', client: 'http://localhost' }, 'client'],
  [{ bucket: 'logs', timeout: 0 }, 'timeout'],
  [{ bucket: 'logs', timeout: 1.5 }, 'timeout'],
])('%j is refused at once, naming the option', (options, option) => {
  let error: unknown;
  try {
    new S3Bucket(options as S3BucketOptions);
  } catch (thrown) {
    error = thrown;
  }
  expect(PoolError.is(error)).toBe(true);
  expect(error).toMatchObject({ code: 'POOL_OPTIONS' });
  expect((error as Error).message).toContain(`option '${option}'`);
});
