import { resolve } from 'node:path';
import { PoolError } from '../../errors.js';
import { type Check, fields, integer, MOST_MS, oneOf, refuse, text } from '../../option-checks.js';
import type { TransferProgress } from '../destinations/destination.js';
import type { DestinationOption } from '../destinations/option.js';
import type { S3ClientOptions } from '../destinations/s3-sdk.js';

/** How much of a copy has been made. */
export interface BackupProgress {
  /** Pages of the database. */
  totalPages: number;
  /** Pages that are still to be copied. */
  remainingPages: number;
}

/**
 * How a backup is verified: `'quick'` by `PRAGMA quick_check`, `'full'` by `PRAGMA integrity_check`,
 * which compares every index with its table too and takes about twice as long; both with `PRAGMA
 * foreign_key_check`. `false`: not at all. https://sqlite.org/pragma.html#pragma_integrity_check
 */
export type BackupVerify = 'quick' | 'full' | false;

/** How a backup is compressed; zstd needs Node.js 22.15. */
export type BackupCompression = 'gzip' | 'zstd' | false;

/** Options that every backup has, one by hand and one by schedule. */
export interface BackupSettings {
  /** How it is verified before it gets its name. Default: `'quick'`. */
  verify?: BackupVerify | undefined;
  /** How it is compressed; verified by unpacking it again. Default: false. */
  compress?: BackupCompression | undefined;
  /**
   * The most that is copied in a second, in MB (10^6 bytes). `Infinity`: as fast as it goes, which
   * writers feel. Default: as fast as leaves the disk alone for half of the time.
   */
  pace?: number | undefined;
}

/** The pool option `backups`: backups by schedule. */
export interface ScheduledBackupOptions extends BackupSettings {
  /**
   * The folder that they are kept in, of this database alone. It is made where it does not exist;
   * the folder above it must.
   */
  directory: string;
  /** How long after the newest one the next is made, in ms, 1000 or more. Default: 86400000 (a day). */
  every?: number | undefined;
  /** How many are kept, 1 or more; the newest that is good is never removed. Default: 7. */
  keep?: number | undefined;
  /**
   * Where each is sent as well, and compared with what was sent: another folder, `s3://bucket/prefix`,
   * or a bucket with what its client needs; for the backups of this database alone. `keep` counts
   * there too. Default: nowhere.
   */
  destination?: DestinationOption | undefined;
  /** Is told why one could not be made or sent, or an old one not be removed. */
  onError?: ((error: Error) => void) | undefined;
}

/** The pool option `backups`, each setting with its value. */
export interface ResolvedBackups {
  readonly directory: string;
  readonly every: number;
  readonly keep: number;
  readonly verify: BackupVerify;
  readonly compress: BackupCompression;
  readonly pace: number | undefined;
  readonly destination: DestinationOption | undefined;
  readonly onError: ((error: Error) => void) | undefined;
}

/** Options of `pool.backup`. */
export interface BackupOptions extends BackupSettings {
  /** Is told how far the copy is: at its beginning, about every 50 ms, and at its end. */
  onProgress?: ((progress: BackupProgress) => void) | undefined;
  /** Gives the backup up: it rejects with POOL_ABORTED and leaves nothing behind. */
  signal?: AbortSignal | undefined;
  /** Whether it may replace what is at the target; false: POOL_BACKUP. Default: true. */
  replace?: boolean | undefined;
  /** What `new S3Client(…)` takes, for a target at `s3://…`. Default: what the environment says. */
  client?: S3ClientOptions | undefined;
  /** Is told how much of it was sent, for a target at `s3://…`: at the beginning, about every 50 ms, at the end. */
  onSending?: ((progress: TransferProgress) => void) | undefined;
}

/**
 * `'ok'`: it was checked, and nothing was found. `'foreign-keys'`: it is sound, but rows refer to
 * rows that are not there, as they did in the database itself. `'unverified'`: it was not checked.
 * `'damaged'`: the check found errors; no backup gets its name with it, but one may become so.
 */
export type BackupVerdict = 'ok' | 'foreign-keys' | 'unverified' | 'damaged';

/** What is known of one backup file. */
export interface BackupFile {
  /** Its absolute path. */
  path: string;
  /** Its size, in bytes. */
  bytes: number;
  /** Pages of the database in it. */
  pages: number;
  /** Bytes of a page. */
  pageSize: number;
  /** What its verification found. */
  verdict: BackupVerdict;
  /** How it was verified. */
  verified: BackupVerify;
  /** What was found, at most 20 lines; empty where the verdict is `'ok'`. */
  problems: string[];
  /** How it is compressed. */
  compressed: BackupCompression;
}

/** What `pool.backup` made. */
export interface BackupResult extends BackupFile {
  /** How long it took, in ms, its verification included. */
  duration: number;
  /** How long, in ms, a read transaction was open for the copy: so long the WAL could not shrink. */
  held: number;
}

/** Options of `verifyBackup`. */
export interface VerifyBackupOptions {
  /** How it is verified. Default: `'full'`. */
  verify?: 'quick' | 'full' | undefined;
  /** Gives it up, with POOL_ABORTED. */
  signal?: AbortSignal | undefined;
  /** As the pool option: a module that is run on the connection; keys, functions that indexes use. */
  setup?: string | undefined;
  /** As the pool option: a process uses one library for a file. Default: `'better-sqlite3'`. */
  driver?: string | undefined;
  /** What `new S3Client(…)` takes, for a backup at `s3://…`. Default: what the environment says. */
  client?: S3ClientOptions | undefined;
}

/** Options of `restoreBackup`. */
export interface RestoreOptions extends Omit<VerifyBackupOptions, 'verify'> {
  /** How the backup is verified before anything is replaced. Default: `'full'`. */
  verify?: BackupVerify | undefined;
}

/** What `restoreBackup` did. */
export interface RestoreResult extends Omit<BackupFile, 'compressed'> {
  /** Whether there was a database, which is replaced now. */
  replaced: boolean;
  /** How long it took, in ms. */
  duration: number;
}

const verify: Check = (name, value) => {
  if (value !== false) oneOf('quick', 'full')(name, value);
};

const path: Check = (name, value) => {
  if (typeof value !== 'string' || value === '' || value.includes('\0'))
    refuse(name, value, 'a path');
};

const aFunction: Check = (name, value) => {
  if (typeof value !== 'function') refuse(name, value, 'a function');
};

const signal: Check = (name, value) => {
  if (!(value instanceof AbortSignal)) refuse(name, value, 'an AbortSignal');
};

const SETTINGS = {
  verify,
  compress: (name, value) => {
    if (value !== false) oneOf('gzip', 'zstd')(name, value);
  },
  pace: (name, value) => {
    if (typeof value !== 'number' || !(value > 0)) refuse(name, value, 'a number of MB/s above 0');
  },
} satisfies Record<keyof BackupSettings, Check>;

const client: Check = (name, value) => {
  if (typeof value !== 'object' || value === null) refuse(name, value, 'an object');
};

const trueOrFalse: Check = (name, value) => {
  if (typeof value !== 'boolean') refuse(name, value, 'true or false');
};

const OF_FILE = { verify, signal, setup: text, driver: text, client };

const s3Location = fields({ url: text, client }, 'destination');

const destination: Check = (name, value) => {
  if (typeof value === 'string') return path(name, value);
  s3Location(name, value);
  const { url } = value as { url?: unknown };
  if (typeof url !== 'string' || !url.startsWith('s3://')) {
    refuse(`${name}.url`, url, "a URL such as 's3://bucket/prefix'");
  }
};

const CALLS = {
  backup: {
    ...SETTINGS,
    onProgress: aFunction,
    signal,
    replace: trueOrFalse,
    client,
    onSending: aFunction,
  },
  listBackups: { verify, signal, driver: text, client },
  'backups.list': { verify, signal },
  verifyBackup: OF_FILE,
  restoreBackup: OF_FILE,
} as const satisfies Record<string, Record<string, Check>>;

/** Refuses options of a call that are unknown or wrong, by name. */
export function checkCall(call: keyof typeof CALLS, options: unknown): void {
  if (options !== undefined) fields(CALLS[call], call)('', options);
}

/** The check of the pool option `backups`. */
export const checkBackups: Check = (name, value) => {
  const checks = {
    ...SETTINGS,
    directory: path,
    every: integer(1000, MOST_MS, ' of ms'),
    keep: integer(1, 1_000_000),
    destination,
    onError: aFunction,
  } satisfies Record<keyof ScheduledBackupOptions, Check>;
  fields(checks, name)(name, value);
  if ((value as ScheduledBackupOptions).directory === undefined) {
    throw new PoolError('POOL_OPTIONS', `option '${name}.directory' is missing: name a folder`);
  }
};

/** Gives each setting of the pool option `backups` its value. */
export function resolveBackups(
  given: ScheduledBackupOptions | undefined,
  inMemory: boolean,
): ResolvedBackups | undefined {
  if (given === undefined) return undefined;
  if (inMemory) {
    const hint = 'copy it by hand, with pool.backup()';
    throw new PoolError(
      'POOL_OPTIONS',
      `option 'backups' contradicts a database in memory: ${hint}`,
    );
  }
  const { destination } = given;
  if (typeof destination === 'string' && resolve(destination) === resolve(given.directory)) {
    throw new PoolError(
      'POOL_OPTIONS',
      `option 'backups.destination' is the folder of the backups itself: name another, of another disk`,
    );
  }
  return Object.freeze({
    directory: resolve(given.directory),
    every: given.every ?? 86_400_000,
    keep: given.keep ?? 7,
    verify: given.verify ?? 'quick',
    compress: given.compress ?? false,
    pace: given.pace,
    destination,
    onError: given.onError,
  });
}

/** Refuses what is no path of a file, naming what it is for. */
export function checkPath(what: string, path: unknown): string {
  if (typeof path !== 'string' || path === '' || path.includes('\0')) {
    throw new PoolError('POOL_OPTIONS', `${what} must be the path of a file`);
  }
  return path;
}
