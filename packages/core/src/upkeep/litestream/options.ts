import {
  boolean,
  type Check,
  fields,
  integer,
  MOST_MS,
  milliseconds,
  refuse,
  text,
} from '../../option-checks.js';

/** Where a replica is, and how Litestream gets at it. */
export interface ReplicaOptions {
  /**
   * A path or `file:` URL, `s3://bucket/path`, or any other that Litestream knows (`gs:`, `abs:`,
   * `sftp:`).
   */
  url: string;
  /**
   * The program, 0.3.13 or newer. Default: that of the npm package `@flydotio/litestream` where it
   * is installed, else `litestream` on the PATH.
   */
  binary?: string;
  /**
   * Environment variables for it besides those of the process: `AWS_ACCESS_KEY_ID` and
   * `AWS_SECRET_ACCESS_KEY` for S3. Default: none.
   */
  env?: Readonly<Record<string, string>>;
  /**
   * Further fields of the replica in Litestream's own configuration, by its names: `endpoint`,
   * `region`, `'force-path-style'`. https://litestream.io/reference/config/. Default: none.
   */
  settings?: Readonly<Record<string, unknown>>;
}

/** The option `replicate` of `createPool`. */
export interface ReplicateOptions extends ReplicaOptions {
  /** How often what was written is sent, in ms, 100 or more: what may be lost. Default: 1000. */
  syncInterval?: number;
  /** How long old states can be restored, in ms. Default: Litestream's, 24 hours. */
  retention?: number;
  /** How often a whole copy is sent, in ms. Default: Litestream's, with each retention. */
  snapshotInterval?: number;
  /** Whether a missing file is restored from the replica before the pool opens it. Default: true. */
  restore?: boolean;
  /**
   * How long `close()` waits until the last writes are sent, in ms; then Litestream is killed, and
   * `close()` rejects. Default: 30000.
   */
  stopTimeout?: number;
}

/** The option with its defaults. */
export interface ReplicateSettings extends Readonly<ReplicaOptions> {
  readonly syncInterval: number;
  readonly retention: number | undefined;
  readonly snapshotInterval: number | undefined;
  readonly restore: boolean;
  readonly stopTimeout: number;
}

const words: Check = (name, value) => {
  const fits = (each: unknown) => typeof each === 'string';
  if (typeof value !== 'object' || value === null || !Object.values(value).every(fits)) {
    refuse(name, value, 'an object of strings');
  }
};

const object: Check = (name, value) => {
  if (typeof value !== 'object' || value === null) refuse(name, value, 'an object');
};

const replicaFields = { url: text, binary: text, env: words, settings: object } satisfies Record<
  keyof ReplicaOptions,
  Check
>;

const known = fields(
  {
    ...replicaFields,
    syncInterval: integer(100, MOST_MS, ' of ms'),
    retention: milliseconds,
    snapshotInterval: milliseconds,
    restore: boolean,
    stopTimeout: milliseconds,
  } satisfies Record<keyof ReplicateOptions, Check>,
  'replicate',
);

/** Refuses an option `replicate` that is none. */
export const checkReplicate: Check = (name, value) => {
  known(name, value);
  text(`${name}.url`, (value as Partial<ReplicateOptions>).url);
};

const checkRestore = fields({ ...replicaFields, at: object, signal: object }, 'restoreReplica');

/** Refuses options of `restoreReplica` that are none. */
export function checkRestoreReplica(url: unknown, options: object): void {
  text('url', url);
  checkRestore('', options);
}

export function resolveReplicate(given: ReplicateOptions): ReplicateSettings {
  return Object.freeze({
    ...given,
    syncInterval: given.syncInterval ?? 1000,
    retention: given.retention,
    snapshotInterval: given.snapshotInterval,
    restore: given.restore ?? true,
    stopTimeout: given.stopTimeout ?? 30_000,
  });
}

/** A URL as messages may show it: without what it may hold of names and passwords. */
export function shownUrl(url: string): string {
  return url.replace(/\/\/[^/@]*@/, '//').replace(/\?.*$/, '');
}
