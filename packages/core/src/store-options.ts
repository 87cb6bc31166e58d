import { PoolError } from './errors.js';
import { type Check, refuse } from './option-checks.js';
import type { PoolOptions } from './options.js';
import type { PoolStore } from './store.js';
import { isMemory } from './threads/connection.js';

/** What is behind the option `store`. */
export interface StoreSettings {
  readonly store: PoolStore;
  readonly interval: number;
  readonly retries: number;
}

export const checkStore: Check = (name, value) => {
  const { poolite, replica } = (value ?? {}) as Partial<PoolStore>;
  if (poolite !== 'store' || typeof replica !== 'function') {
    refuse(name, value, "what '@poolite/store' makes: s3Store(…) or folderStore(…)");
  }
};

/** Refuses what contradicts a store, or needs one. */
export function resolveStore(given: PoolOptions, file: string): StoreSettings | undefined {
  const { store, freshness, retries } = given;
  if (store === undefined) {
    const name = freshness !== undefined ? 'freshness' : retries !== undefined ? 'retries' : '';
    if (name === '') return undefined;
    throw new PoolError('POOL_OPTIONS', `option '${name}' is for a pool with a 'store'`);
  }
  const why = whyNoStore(given, file);
  if (why !== undefined) throw new PoolError('POOL_OPTIONS', `option 'store' ${why}`);
  return Object.freeze({ store, interval: freshness?.interval ?? 1000, retries: retries ?? 10 });
}

function whyNoStore(given: PoolOptions, file: string): string | undefined {
  if (given.driver !== 'node:sqlite') {
    return "needs driver: 'node:sqlite', whose SQLite records what a transaction changes (sessions)";
  }
  if (isMemory(file) || file.startsWith('file:')) return 'needs the path of a file for its replica';
  if (given.readonly === true)
    return "contradicts 'readonly': the replica writes what others wrote";
  if ((given.writer ?? 'own') !== 'own') {
    return "contradicts 'writer': give each process a replica of its own, on one store";
  }
  if (given.replicate !== undefined) return "contradicts 'replicate': the store has every commit";
  if (given.exactlyOnce === true) {
    return "contradicts 'exactlyOnce', which knows one machine: use the call option 'idempotencyKey'";
  }
  return undefined;
}
