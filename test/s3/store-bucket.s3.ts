import { createRequire } from 'node:module';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { BucketError } from '../../packages/store/src/bucket.ts';
import { probe } from '../../packages/store/src/probe.ts';
import { S3Bucket } from '../../packages/store/src/s3-bucket.ts';
import { bucketContract } from '../../packages/store/test/support/bucket-contract.ts';
import { missing, type S3Server, startS3Server } from './server.ts';

const BUCKET = 'logs';
let server: S3Server;
let prefixes = 0;

beforeAll(async () => {
  const absent = missing();
  if (absent.length > 0) {
    throw new Error(
      `this needs ${absent.join(', ')}: apt-get install ceph-mon ceph-osd ceph-common radosgw curl`,
    );
  }
  server = await startS3Server();
  const store = createRequire(new URL('../../packages/store/package.json', import.meta.url));
  const { S3Client, CreateBucketCommand } = store('@aws-sdk/client-s3');
  await new S3Client(client()).send(new CreateBucketCommand({ Bucket: BUCKET }));
});

afterAll(() => server?.stop());

function client() {
  const { endpoint, accessKeyId, secretAccessKey } = server;
  const credentials = { accessKeyId, secretAccessKey };
  return { endpoint, region: 'us-east-1', forcePathStyle: true, credentials };
}

/** Handles on one prefix that nobody has used, each with a client of its own. */
async function fresh(): Promise<() => S3Bucket> {
  const prefix = `log-${++prefixes}`;
  return () => new S3Bucket({ bucket: BUCKET, prefix, client: client() });
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
    const handle = new S3Bucket({ bucket, client: { ...client(), ...options } });
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
