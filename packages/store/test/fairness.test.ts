import { join } from 'node:path';
import { expect, test } from 'vitest';
import { FaultyBucket } from './support/faulty-bucket.ts';
import { freshBucket, freshFolder } from './support/fresh.ts';
import { machine } from './support/machines.ts';

test('machines that all write all the time each have a tenth of their fair share at least', async () => {
  const bucket = freshBucket();
  const folder = freshFolder();
  // What a machine that won sees at once, the others must read.
  const far = () => new FaultyBucket(bucket, { latency: { create: 10, get: 5 } });
  const pools = [1, 2, 3].map((n) => machine(far(), join(folder, `${n}.db`), { retries: 1000 }));
  const [first] = pools;
  await first?.exec('CREATE TABLE t (id INTEGER PRIMARY KEY, machine INTEGER NOT NULL)');
  await Promise.all(pools.map((pool) => pool.refresh()));
  let going = true;
  const committed = await Promise.all(
    pools.map(async (pool, machine) => {
      let times = 0;
      for (; going; times++) {
        await pool.run('INSERT INTO t (machine) VALUES (?)', [machine]);
        const { position = 0 } = pool.stats().replica ?? {};
        if (position > 60) going = false;
      }
      return times;
    }),
  );
  const sum = committed.reduce((all, each) => all + each);
  expect(Math.min(...committed), `commits: ${committed}`).toBeGreaterThanOrEqual(sum / 3 / 10);
});

test('a machine that is alone does not wait for others, nor for one that has gone', async () => {
  const bucket = freshBucket();
  const file = join(freshFolder(), 'gone.db');
  const gone = machine(bucket, file, { retries: 1000 });
  await gone.exec('CREATE TABLE t (id INTEGER PRIMARY KEY, machine INTEGER NOT NULL)');
  let waits = 0;
  const counted = new FaultyBucket(bucket, {
    after: (operation, key) => {
      if (operation === 'get' && key.startsWith('log/')) waits++;
    },
  });
  const alone = machine(counted, join(freshFolder(), 'alone.db'));
  await alone.ready();
  await gone.close();
  waits = 0;
  for (let i = 0; i < 20; i++) await alone.run('INSERT INTO t (machine) VALUES (1)');
  // Whoever leaves a place free looks again and again whether it was taken.
  expect(waits).toBe(0);
});
