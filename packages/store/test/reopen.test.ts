import { join } from 'node:path';
import { createPool } from '@poolite/core';
import { expect, onTestFinished, test } from 'vitest';
import { storeIn } from '../src/store.js';
import { storeSettings } from '../src/store-options.js';
import { FaultyBucket } from './support/faulty-bucket.js';
import { freshBucket, freshFolder } from './support/fresh.js';

test('a replica that could not be opened can be opened again once its pool is closed', async () => {
  const bucket = new FaultyBucket(freshBucket());
  const options = {
    ...{ driver: 'node:sqlite', readers: 1, store: storeIn(bucket, storeSettings('test', {})) },
  };
  const file = join(freshFolder(), 'replica.db');
  const first = createPool(file, options);
  await first.exec('CREATE TABLE note (id INTEGER PRIMARY KEY)');
  await first.close();

  bucket.faults.decide = (operation, key) =>
    operation === 'get' && key.startsWith('log/') ? 'refused' : undefined;
  const second = createPool(file, options);
  await expect(second.ready()).rejects.toMatchObject({ code: 'POOL_STORE' });
  await second.close();

  delete bucket.faults.decide;
  const third = createPool(file, options);
  onTestFinished(() => third.close());
  expect(await third.all('SELECT * FROM note')).toEqual([]);
});
