import { randomUUID } from 'node:crypto';
import type { PoolStore, Replica, ReplicaHost } from '@poolite/core';
import type { Bucket } from './bucket.js';
import { Committer } from './committer.js';
import { gateModule } from './gate-module.js';
import { Log } from './log.js';
import { probe } from './probe.js';
import { FileReplica } from './replica.js';
import { Signs } from './signs.js';
import { SnapshotKeeper } from './snapshot-keeper.js';
import type { StoreSettings } from './store-options.js';

/** What a store is made of; tests put others in the place of some. */
export interface StoreParts {
  readonly Committer?: typeof Committer;
  /** The URL of the module that the writer's thread loads. */
  readonly gate?: string;
}

/** A store that keeps its log in a bucket. */
export function storeIn(
  bucket: Bucket,
  settings: StoreSettings,
  parts: StoreParts = {},
): PoolStore {
  const { patience, snapshotEvery, maxEntryBytes, upgrade } = settings;
  const NewCommitter = parts.Committer ?? Committer;
  /** One answer holds for all pools of this process. */
  let probed: Promise<void> | undefined;
  const once = () => {
    probed ??= probe(bucket);
    // Where it failed, the next pool asks again.
    probed.catch(() => {
      probed = undefined;
    });
    return probed;
  };
  return {
    poolite: 'store',
    where: bucket.where,
    replica(host: ReplicaHost): Replica {
      const log = new Log(bucket);
      const hurry = new AbortController();
      const signs = new Signs(bucket, randomUUID());
      return new FileReplica(host, {
        ...{ log, hurry, upgrade, probe: once },
        committer: new NewCommitter(log, signs, patience, hurry.signal),
        snapshots: new SnapshotKeeper(log, host, snapshotEvery, hurry),
        gate: { module: parts.gate ?? gateModule(), data: { maxEntryBytes } },
      });
    },
  };
}
