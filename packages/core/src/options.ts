import { availableParallelism } from 'node:os';
import { resolve } from 'node:path';
import { PoolError } from './errors.js';
import { fits, LONGEST_FOLDER } from './observing/stats-place.js';
import {
  boolean,
  type Check,
  fields,
  integer,
  MOST_MS,
  milliseconds,
  oneOf,
  refuse,
  text,
} from './option-checks.js';
import type { SharingSettings } from './sharing/membership.js';
import { checkWriter, resolveWriter, type WriterOption } from './sharing/sharing-options.js';
import type { PoolStore } from './store.js';
import { checkStore, resolveStore, type StoreSettings } from './store-options.js';
import { type ConnectionOptions, type Integers, isMemory } from './threads/connection.js';
import { checkDriver } from './threads/engine.js';
import {
  checkBackups,
  type ResolvedBackups,
  resolveBackups,
  type ScheduledBackupOptions,
} from './upkeep/backups/options.js';
import {
  type CheckpointOptions,
  checkCheckpoint,
  resolveCheckpoint,
} from './upkeep/checkpoints/options.js';
import {
  checkReplicate,
  type ReplicateOptions,
  type ReplicateSettings,
  resolveReplicate,
} from './upkeep/litestream/options.js';
import { type ChangeOptions, checkChanges, resolveChanges } from './writing/change-options.js';

/** How a taken lock is waited for, once short polls did not help. */
export interface RetryOptions {
  /** Tries after the first, within `busyTimeout`. Default: no limit. */
  attempts?: number;
  /** The first delay, in ms; it doubles with each try. Default: 1. */
  baseDelay?: number;
  /** The longest delay, in ms. Default: 25. */
  maxDelay?: number;
  /** How much of a delay is left to chance, from 0 to 1. Default: 0.5. */
  jitter?: number;
}

/** Options of `createPool`. Every one has a default that a careful SQLite user would pick. */
export interface PoolOptions {
  /** Reader threads, 1 to 16. Default: one less than there are cores, at least 1, at most 4. */
  readers?: number;
  /**
   * Whether a read that has proved to be quick (under about 100 us, few rows) may run on the
   * calling thread, without a hop. Default: `'auto'`.
   */
  inlineReads?: 'auto' | 'off';
  /**
   * `'full'`: a commit survives a power failure. `'normal'`: it survives a crash of the process,
   * and after a power failure the last commits may be missing, the database being sound.
   * https://sqlite.org/pragma.html#pragma_synchronous. Default: `'normal'`.
   */
  synchronous?: 'normal' | 'full';
  /** Whether a read waits for the one-shot writes issued before it. Default: true. */
  readYourWrites?: boolean;
  /** How long a lock of another process is waited for, in ms. Default: 5000. */
  busyTimeout?: number;
  /** How it is waited for. */
  retry?: RetryOptions;
  /** How long a caller waits for the writer or for a connection, in ms; 0: for ever. Default: 10000. */
  acquireTimeout?: number;
  /** How long a transaction or a lease may last, in ms; 0: for ever. Default: 30000. */
  transactionTimeout?: number;
  /** The `timeout` of every statement that names none, in ms. Default: none. */
  statementTimeout?: number;
  /**
   * What a write does that is issued inside a transaction, but not through it: `'error'` refuses it
   * at once with POOL_DEADLOCK; `'wait'` queues it behind the transaction. Default: `'error'`.
   */
  selfWait?: 'error' | 'wait';
  /** Whether transactions that end while others wait may share one COMMIT. Default: true. */
  shareCommits?: boolean;
  /** `PRAGMA cache_size` of every connection. Default: the library's (16 MB). */
  cacheSize?: number;
  /** `PRAGMA mmap_size`, in bytes. Default: 0, since an I/O error under mmap is a fatal signal. */
  mmapSize?: number;
  /** Whether foreign keys are enforced. Default: true. */
  foreignKeys?: boolean;
  /**
   * Further pragmas, set on every connection when it opens; those that write to the file (`auto_vacuum`,
   * `user_version`), by the writer alone. Default: none.
   */
  pragmas?: Readonly<Record<string, string | number | boolean>>;
  /**
   * How integers come back: `'number'` as better-sqlite3 does (inexact beyond 2^53), `'bigint'`
   * always, `'auto'` as a number where that is exact and as a bigint where not. Default: `'number'`.
   */
  integers?: Integers;
  /**
   * A module, by path or name, whose default export `(db, { access }) => void` is called with
   * every new connection, on the thread of that connection: functions, extensions, keys. Under
   * `driver: 'node:sqlite'`, `db` is Node's own `DatabaseSync`.
   */
  setup?: string;
  /**
   * `'node:sqlite'`: Node's own SQLite (Node.js 24 or newer, SQLite 3.51.3 or newer); its errors are of the class
   * `SqliteError` of this package. Else the name of a module compatible with better-sqlite3. A
   * process uses one library for a file: another is refused with POOL_OPTIONS while it is open.
   * Default: `'better-sqlite3'`.
   */
  driver?: string;
  /**
   * Whether the SQLite extension of `@poolite/hooks` is loaded, where it is there: with it a running
   * statement can be interrupted, and the pool tells what its commits changed. `'off'`: it is not.
   * Default: `'auto'`.
   */
  hooks?: 'auto' | 'off';
  /** What the event `change` tells, and how soon that of other programs. */
  changes?: ChangeOptions;
  /** Opens the file for reading only; it must exist. Default: false. */
  readonly?: boolean;
  /**
   * Whether other processes of this user may see the pool's statistics, on a local socket: what
   * `poolite top` and `runningPools` look at. True puts it where they look by themselves; a string
   * is the folder for it, which is made where it does not exist, and which nobody else may enter.
   * Not on Windows. Default: false.
   */
  statsSocket?: boolean | string;
  /**
   * How the pool keeps the WAL small. `'hands-off'`: it never checkpoints, not at closing either,
   * since Litestream or another tool does. Databases in memory and `readonly` pools have no WAL to
   * keep: they ignore it.
   */
  checkpoint?: CheckpointOptions | 'hands-off';
  /** Backups by schedule. Default: none. */
  backups?: ScheduledBackupOptions;
  /**
   * Keeps a replica of the file elsewhere, by Litestream, which runs beside the pool; it implies
   * `checkpoint: 'hands-off'`. Default: none.
   */
  replicate?: ReplicateOptions;
  /**
   * Who writes. `'shared'`: the processes of this machine that open the file so elect one of them,
   * and send it their writes; when it ends, another takes over. `{ socketPath }`: the writer that
   * `startWriterServer` or `poolite serve` runs there. All of them must agree on `foreignKeys`,
   * `integers`, `driver`, `pragmas` and `setup`. Default: `'own'`.
   */
  writer?: WriterOption;
  /**
   * Whether one-shot writes and batches whose outcome is unknown, since the writer died, are sent
   * again by the pool: each takes effect once. It keeps a small table for that, `poolite_ledger`, in
   * the file. Default: false.
   */
  exactlyOnce?: boolean;
  /**
   * Where the truth is kept of a database that many machines write: `s3Store` or `folderStore` of `@poolite/store`.
   * The file is this machine's replica; each group of writes is committed there first. It needs
   * `driver: 'node:sqlite'`. Default: none.
   */
  store?: PoolStore;
  /** How soon the replica has what other machines wrote. Only with `store`. */
  freshness?: FreshnessOptions;
  /**
   * How often statements, and the callbacks of `pool.transaction`, are run again by themselves where another machine
   * committed first; then they fail with POOL_CONFLICT. Only with `store`. Default: 10.
   */
  retries?: number;
}

/** How soon a replica has what other machines wrote. */
export interface FreshnessOptions {
  /** How often it is looked for, in ms; 0: only when `refresh()`, a `linearizable` read or a conflict asks. Default: 1000. */
  interval?: number;
}

/** The options of a pool, each with its value. */
export interface ResolvedOptions {
  readonly file: string;
  readonly readers: number;
  readonly inlineReads: 'auto' | 'off';
  readonly hooks: 'auto' | 'off';
  readonly changes: Readonly<Required<ChangeOptions>>;
  readonly readYourWrites: boolean;
  readonly acquireTimeout: number;
  readonly transactionTimeout: number;
  readonly statementTimeout: number;
  readonly selfWait: 'error' | 'wait';
  readonly shareCommits: boolean;
  /** The absolute path of the folder; true for the one where it is looked for. */
  readonly statsSocket: boolean | string;
  readonly checkpoint: Readonly<Required<CheckpointOptions>> | 'hands-off';
  readonly backups: ResolvedBackups | undefined;
  readonly replicate: ReplicateSettings | undefined;
  readonly writer: WriterOption;
  readonly exactlyOnce: boolean;
  /** Where many machines keep the truth; undefined for a database that this one has alone. */
  readonly store: StoreSettings | undefined;
  /** What is behind `writer`; undefined for a writer of the pool's own. */
  readonly sharing: SharingSettings | undefined;
  readonly connection: ConnectionOptions;
}

const pragmas: Check = (name, value) => {
  if (typeof value !== 'object' || value === null) refuse(name, value, 'an object');
  for (const [pragma, setting] of Object.entries(value)) {
    const full = `${name}.${pragma}`;
    if (!/^[a-z_]+$/i.test(pragma)) refuse(full, pragma, 'the name of a pragma');
    if (pragma.toLowerCase() === 'journal_mode') {
      throw new PoolError('POOL_OPTIONS', `option '${full}': a pool needs WAL, and sets it itself`);
    }
    if (pragma.toLowerCase() === 'wal_autocheckpoint') {
      const hint = "a pool checkpoints beside its writer: see the option 'checkpoint'";
      throw new PoolError('POOL_OPTIONS', `option '${full}': ${hint}`);
    }
    const fits =
      typeof setting === 'boolean' ||
      Number.isFinite(setting) ||
      (typeof setting === 'string' && /^[\w.+-]+$/.test(setting));
    if (!fits) refuse(full, setting, 'a number, true, false or one word');
  }
};

const driver: Check = (name, value) => {
  text(name, value);
  checkDriver(value as string);
};

const retry = fields(
  {
    attempts: (name, value) => {
      if (value !== Number.POSITIVE_INFINITY) integer(0, Number.MAX_SAFE_INTEGER)(name, value);
    },
    baseDelay: milliseconds,
    maxDelay: milliseconds,
    jitter: (name, value) => {
      if (typeof value !== 'number' || !(value >= 0 && value <= 1)) {
        refuse(name, value, 'a number from 0 to 1');
      }
    },
  },
  'retry',
);

const statsSocket: Check = (name, value) => {
  if (value === false) return;
  if (value !== true && (typeof value !== 'string' || value === '')) {
    refuse(name, value, 'true, false or the path of a folder');
  }
  if (process.platform === 'win32') {
    throw new PoolError('POOL_OPTIONS', `option '${name}': there is no such socket on Windows`);
  }
  if (value === true || fits(resolve(value as string))) return;
  throw new PoolError(
    'POOL_OPTIONS',
    `option '${name}': sockets need short paths, and ${resolve(value as string)} has more than ` +
      `${LONGEST_FOLDER} bytes; name another folder`,
  );
};

const checkOptions = fields(
  {
    readers: integer(1, 16),
    inlineReads: oneOf('auto', 'off'),
    synchronous: oneOf('normal', 'full'),
    readYourWrites: boolean,
    busyTimeout: milliseconds,
    retry,
    acquireTimeout: milliseconds,
    transactionTimeout: milliseconds,
    statementTimeout: milliseconds,
    selfWait: oneOf('error', 'wait'),
    shareCommits: boolean,
    cacheSize: integer(-MOST_MS, MOST_MS),
    mmapSize: integer(0, Number.MAX_SAFE_INTEGER, ' of bytes'),
    foreignKeys: boolean,
    pragmas,
    integers: oneOf('number', 'bigint', 'auto'),
    setup: text,
    driver,
    hooks: oneOf('auto', 'off'),
    changes: checkChanges,
    readonly: boolean,
    statsSocket,
    checkpoint: checkCheckpoint,
    backups: checkBackups,
    replicate: checkReplicate,
    writer: checkWriter,
    exactlyOnce: boolean,
    store: checkStore,
    freshness: fields({ interval: milliseconds }, 'freshness'),
    retries: integer(0, 1000),
  } satisfies Record<keyof PoolOptions, Check>,
  'createPool',
);

/** Checks the options of a pool, and gives each its value; the result is frozen. */
export function resolveOptions(file: unknown, options: unknown): ResolvedOptions {
  if (typeof file !== 'string') {
    throw new PoolError(
      'POOL_OPTIONS',
      `createPool needs the path of a database file, not ${file === null ? 'null' : typeof file}; ` +
        "':memory:' is a database in memory",
    );
  }
  if (file.includes('\0')) {
    throw new PoolError('POOL_OPTIONS', 'the path of a database file cannot hold a zero byte');
  }
  checkOptions('', options ?? {});
  const given = (options ?? {}) as PoolOptions;
  const trimmed = file.trim();
  if (given.readonly === true && isMemory(trimmed)) {
    throw new PoolError('POOL_OPTIONS', `option 'readonly' contradicts a database in memory`);
  }
  if (given.replicate !== undefined) checkReplicable(trimmed, given);
  const { retry = {}, statsSocket: place = false } = given;
  if (place !== false && isMemory(trimmed)) {
    throw new PoolError('POOL_OPTIONS', `option 'statsSocket' contradicts a database in memory`);
  }
  const baseDelay = retry.baseDelay ?? 1;
  const maxDelay = retry.maxDelay ?? Math.max(25, baseDelay);
  if (maxDelay < baseDelay) {
    throw new PoolError('POOL_OPTIONS', `option 'retry.maxDelay' is less than 'retry.baseDelay'`);
  }
  const isUri = trimmed.startsWith('file:');
  return Object.freeze({
    file: trimmed,
    readers: given.readers ?? Math.max(1, Math.min(4, availableParallelism() - 1)),
    inlineReads: given.inlineReads ?? 'auto',
    hooks: given.hooks ?? 'auto',
    changes: resolveChanges(given.changes),
    readYourWrites: given.readYourWrites ?? true,
    acquireTimeout: given.acquireTimeout ?? 10_000,
    transactionTimeout: given.transactionTimeout ?? 30_000,
    statementTimeout: given.statementTimeout ?? 0,
    selfWait: given.selfWait ?? 'error',
    shareCommits: given.shareCommits ?? true,
    statsSocket: typeof place === 'string' ? resolve(place) : place,
    checkpoint: given.replicate ? 'hands-off' : resolveCheckpoint(given.checkpoint ?? {}),
    backups: resolveBackups(given.backups, isMemory(trimmed)),
    replicate: given.replicate && resolveReplicate(given.replicate),
    writer: given.writer ?? 'own',
    exactlyOnce: given.exactlyOnce ?? false,
    store: resolveStore(given, trimmed),
    sharing: resolveWriter(given.writer, {
      patience: given.acquireTimeout ?? 10_000,
      why: whyNotShared(trimmed, given.readonly),
    }),
    connection: Object.freeze({
      file: isMemory(trimmed) || isUri ? trimmed : resolve(trimmed),
      readonly: given.readonly ?? false,
      driver: given.driver ?? 'better-sqlite3',
      integers: given.integers ?? 'number',
      synchronous: given.synchronous ?? 'normal',
      busyTimeout: given.busyTimeout ?? 5000,
      retry: Object.freeze({
        attempts: retry.attempts ?? Number.POSITIVE_INFINITY,
        baseDelay,
        maxDelay,
        jitter: retry.jitter ?? 0.5,
      }),
      foreignKeys: given.foreignKeys ?? true,
      cacheSize: given.cacheSize,
      mmapSize: given.mmapSize ?? 0,
      pragmas: Object.entries(given.pragmas ?? {}),
      setup: given.setup,
      hooks: given.hooks !== 'off',
    }),
  });
}

/** Why a database cannot have a writer that processes share. */
function whyNotShared(file: string, readonly: boolean | undefined): string | undefined {
  if (isMemory(file)) return 'contradicts a database in memory: no other process sees it';
  if (file.startsWith('file:')) return 'needs the path of a file, not a URI';
  if (readonly === true) return "contradicts 'readonly': such a pool has no writer";
  return undefined;
}

/** Litestream wants a file that it may checkpoint. */
function checkReplicable(file: string, { readonly, checkpoint }: PoolOptions): void {
  const why =
    isMemory(file) || file.startsWith('file:')
      ? 'needs the path of a file'
      : readonly === true
        ? "contradicts 'readonly': who writes the file replicates it"
        : checkpoint !== undefined && checkpoint !== 'hands-off'
          ? "contradicts 'checkpoint': Litestream checkpoints by itself"
          : undefined;
  if (why !== undefined) throw new PoolError('POOL_OPTIONS', `option 'replicate' ${why}`);
}
