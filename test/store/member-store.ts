import { join } from 'node:path';
import type { PoolStore } from '@poolite/core';
import { FolderBucket } from '../../packages/store/src/folder-bucket.ts';
import { gateModule } from '../../packages/store/src/gate-module.ts';
import { storeIn } from '../../packages/store/src/store.ts';
import { storeSettings } from '../../packages/store/src/store-options.ts';
import { FaultyBucket } from '../../packages/store/test/support/faulty-bucket.ts';
import type { MemberOptions } from './crew.ts';
import { Death, HarmfulBucket, watched } from './harm.ts';
import { badNetwork } from './network.ts';
import { bucketIn } from './reading.ts';
import type { Telling } from './told.ts';
import { brokenBucket, brokenParts } from './variants.ts';

/** The store of one member: a folder, a bad network before it, and whatever harm it comes to. */
export function memberStore(options: MemberOptions, telling: Telling): PoolStore {
  const { folder, harm, broken, network, seed, settings } = options;
  const archive = new FolderBucket(join(folder, 'archive'), { sync: false });
  const death = new Death(harm, telling);
  const plain = brokenBucket(broken, bucketIn(folder));
  const harmful = new HarmfulBucket(plain, archive, join(folder, 'wire'), death);
  const bucket = new FaultyBucket(harmful, network ? badNetwork(network, seed) : { seed });
  const gate = new URL('./harmful-gate.mjs', import.meta.url);
  const params = { gate: gateModule(), told: options.told, broken: broken ?? '' };
  for (const [key, value] of Object.entries(params)) gate.searchParams.set(key, value);
  for (const [key, value] of Object.entries(harm ?? {})) gate.searchParams.set(key, `${value}`);
  const parts = { ...brokenParts(broken), gate: gate.href };
  return watched(storeIn(bucket, storeSettings('test', settings), parts), telling, death);
}
