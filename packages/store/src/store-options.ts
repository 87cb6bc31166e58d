import { PoolError } from '@poolite/core';

/** What every store may be given. */
export interface StoreOptions {
  /**
   * How long, in ms, it is tried to learn what became of a commit whose request failed; then its callers get
   * POOL_OUTCOME_UNKNOWN. Default: 30000.
   */
  patience?: number;
  /**
   * A snapshot is stored each so many entries, and entries before the one before it are cleared away; 0: never.
   * A new machine fetches the newest snapshot, and every entry behind it. Default: 1000.
   */
  snapshotEvery?: number;
  /** How large the entry of one transaction may be, in bytes, before it is compressed. Default: 268435456 (256 MB). */
  maxEntryBytes?: number;
  /**
   * Takes entries that an older SQLite made than this machine's. For the time after all machines have been given a
   * newer Node.js; those that were not are refused from then on. Default: false.
   */
  upgrade?: boolean;
}

/** The same, each with its value. */
export type StoreSettings = Readonly<Required<StoreOptions>>;

const DEFAULTS: StoreSettings = {
  patience: 30_000,
  snapshotEvery: 1000,
  maxEntryBytes: 256 * 1024 * 1024,
  upgrade: false,
};

const LARGEST: Readonly<Record<'patience' | 'snapshotEvery' | 'maxEntryBytes', number>> = {
  patience: 2 ** 31 - 1,
  snapshotEvery: 1_000_000_000,
  maxEntryBytes: 1024 * 1024 * 1024,
};

/** Checks the options of a store, and gives each its value. */
export function storeSettings(what: string, given: StoreOptions): StoreSettings {
  for (const [name, value] of Object.entries(given)) {
    const known = name as keyof StoreOptions;
    if (!Object.hasOwn(DEFAULTS, known)) {
      throw new PoolError('POOL_OPTIONS', `unknown option '${name}' of ${what}`);
    }
    if (value === undefined) continue;
    const fits =
      known === 'upgrade'
        ? typeof value === 'boolean'
        : Number.isInteger(value) && value >= 0 && value <= LARGEST[known];
    if (fits) continue;
    const wanted = known === 'upgrade' ? 'true or false' : `a whole number up to ${LARGEST[known]}`;
    throw new PoolError('POOL_OPTIONS', `option '${name}' of ${what} must be ${wanted}`);
  }
  const set = Object.entries(given).filter(([, value]) => value !== undefined);
  return Object.freeze({ ...DEFAULTS, ...Object.fromEntries(set) });
}
