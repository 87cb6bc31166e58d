import { randomInt } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { live } from '../store/era.ts';
import { POINTS } from '../store/harm.ts';
import { ON_S3 } from '../store/reading.ts';
import { clientOf, type S3Server, startS3ServerWith } from './server.ts';

const BUCKET = 'machines';
const SEED = Number(process.env.CHAOS_SEED ?? randomInt(1, 2 ** 31));

let server: S3Server;

beforeAll(async () => {
  server = await startS3ServerWith(BUCKET);
  process.env[ON_S3] = JSON.stringify({ bucket: BUCKET, client: clientOf(server) });
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
