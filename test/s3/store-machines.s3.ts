import { randomInt } from 'node:crypto';
import { createRequire } from 'node:module';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { live } from '../store/era.ts';
import { POINTS } from '../store/harm.ts';
import { ON_S3 } from '../store/reading.ts';
import { missing, type S3Server, startS3Server } from './server.ts';

const BUCKET = 'machines';
const SEED = Number(process.env.CHAOS_SEED ?? randomInt(1, 2 ** 31));

let server: S3Server;

beforeAll(async () => {
  const absent = missing();
  if (absent.length > 0) {
    throw new Error(
      `this needs ${absent.join(', ')}: apt-get install ceph-mon ceph-osd ceph-common radosgw curl`,
    );
  }
  server = await startS3Server();
  const { endpoint, accessKeyId, secretAccessKey } = server;
  const credentials = { accessKeyId, secretAccessKey };
  const client = { endpoint, region: 'us-east-1', forcePathStyle: true, credentials };
  const store = createRequire(new URL('../../packages/store/package.json', import.meta.url));
  const { S3Client, CreateBucketCommand } = store('@aws-sdk/client-s3');
  await new S3Client(client).send(new CreateBucketCommand({ Bucket: BUCKET }));
  process.env[ON_S3] = JSON.stringify({ bucket: BUCKET, client });
});

afterAll(() => server?.stop());

test('machines that are killed at each point of the protocol lose and double nothing', {
  timeout: 900_000,
}, async () => {
  const era = { members: 4, points: POINTS, most: 6, stops: 2, snapshotEvery: 10, seed: SEED };
  const { counts, wrong } = await live(era);
  console.log(`CHAOS_SEED=${SEED} ${JSON.stringify(counts)}`);
  expect(wrong).toEqual([]);
  expect(Object.keys(counts).filter((what) => what.startsWith('harm')).length).toBeGreaterThan(5);
});
