import { existsSync, readdirSync, rmSync } from 'node:fs';
import { open, rename, stat } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { PoolError } from '../../errors.js';
import { askBinary, type Binary, findBinary } from './binary.js';
import { describeEnd, LitestreamChild } from './child.js';
import { restoreConfig } from './config.js';
import { generationBefore } from './generations.js';
import { checkRestoreReplica, type ReplicaOptions, shownUrl } from './options.js';

/** Options of `restoreReplica`. */
export interface RestoreReplicaOptions extends Omit<ReplicaOptions, 'url'> {
  /** The state of that moment; what was replicated later is left out. Default: the last state. */
  at?: Date;
  /** Gives up; nothing is left behind. */
  signal?: AbortSignal;
}

/** What a restore from a replica made. */
export interface RestoredReplica {
  /** The absolute path of the file that was made. */
  file: string;
  /** Its size, in bytes. */
  bytes: number;
}

interface Request {
  replica: ReplicaOptions;
  file: string;
  at?: Date | undefined;
  signal?: AbortSignal | undefined;
}

function restoreError(url: string, file: string, why: string, cause?: unknown): PoolError {
  return new PoolError('POOL_REPLICA', `cannot restore ${file} from ${shownUrl(url)}: ${why}`, {
    cause,
  });
}

/** Files that a run of Litestream may leave of what it wrote to `path`. */
function remove(path: string): void {
  for (const end of ['', '-wal', '-shm', '.tmp', '.tmp-wal', '.tmp-shm']) {
    rmSync(`${path}${end}`, { force: true });
  }
}

/** Removes what processes that were killed left of their restores of the same file. */
function sweep(file: string): void {
  const start = `${basename(file)}.restoring-`;
  for (const name of readdirSync(dirname(file))) {
    if (!name.startsWith(start)) continue;
    if (isGone(Number.parseInt(name.slice(start.length), 10))) {
      rmSync(join(dirname(file), name), { force: true });
    }
  }
}

function isGone(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return false;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ESRCH';
  }
}

/** Brings a file, and the name that it now has, to the disk. */
async function settle(path: string, file: string): Promise<void> {
  const data = await open(path, 'r+');
  await data.sync().finally(() => data.close());
  await rename(path, file);
  const folder = await open(dirname(file), 'r');
  await folder.sync().finally(() => folder.close());
}

/** Makes the file from its replica; undefined where there is no replica yet. */
export async function restoreFrom(
  binary: Binary,
  request: Request,
): Promise<RestoredReplica | undefined> {
  const { replica, file, at } = request;
  // Under another name, so that nobody opens half of it: only a rename makes it the database.
  const unfinished = `${file}.restoring-${process.pid}`;
  sweep(file);
  remove(unfinished);
  try {
    const moment = at === undefined ? [] : ['-timestamp', at.toISOString()];
    await run(binary, request, unfinished, moment);
    if (!existsSync(unfinished) && at !== undefined && binary.dialect === '0.3') {
      const generation = await generationBefore(binary, replica, at).catch((error: Error) => {
        throw restoreError(replica.url, file, error.message, error);
      });
      if (generation === undefined) return undefined;
      await run(binary, request, unfinished, ['-generation', generation]);
    }
    if (!existsSync(unfinished)) return undefined;
    // A WAL of an earlier file of this name would be taken for this one's.
    for (const end of ['-wal', '-shm']) rmSync(`${file}${end}`, { force: true });
    await settle(unfinished, file);
    return { file, bytes: (await stat(file)).size };
  } finally {
    remove(unfinished);
  }
}

/** One run of `litestream restore`. */
async function run(
  binary: Binary,
  { replica, file, signal }: Request,
  target: string,
  more: readonly string[],
): Promise<void> {
  const child = new LitestreamChild({
    binary: binary.path,
    command: 'restore',
    config: restoreConfig(binary.dialect, file, replica),
    args: ['-if-replica-exists', '-o', target, ...more, file],
    env: replica.env,
  });
  child.reference();
  const stop = () => child.kill();
  signal?.addEventListener('abort', stop, { once: true });
  if (signal?.aborted === true) stop();
  const ended = await child.ended;
  signal?.removeEventListener('abort', stop);
  if (signal?.aborted === true) {
    const message = `the restore of ${file} was aborted`;
    throw new PoolError('POOL_ABORTED', message, { cause: signal.reason });
  }
  if (ended.code !== 0) throw restoreError(replica.url, file, describeEnd(ended));
}

/**
 * Makes a database file from what Litestream has replicated: its last state, or that of a moment.
 *
 * @param url where the replica is: a path, or a URL that Litestream knows
 * @param file the file to make; it must not exist
 * @throws PoolError POOL_MISUSE where the file exists; POOL_REPLICA where there is no replica, or
 * Litestream fails; POOL_OPTIONS where the program is not found; POOL_ABORTED.
 *
 * @example
 * ```ts
 * import { restoreReplica } from '@poolite/core';
 *
 * async function yesterday(): Promise<void> {
 *   const at = new Date(Date.now() - 86_400_000);
 *   await restoreReplica('s3://backups/app', 'yesterday.db', { at });
 * }
 * ```
 */
export async function restoreReplica(
  url: string,
  file: string,
  options: RestoreReplicaOptions = {},
): Promise<RestoredReplica> {
  checkRestoreReplica(url, options);
  const { at, signal, ...replica } = options;
  const path = resolve(file);
  if (at !== undefined && !(at instanceof Date && !Number.isNaN(at.getTime()))) {
    throw new PoolError('POOL_OPTIONS', `option 'at' must be a valid date`);
  }
  if (existsSync(path)) {
    throw new PoolError(
      'POOL_MISUSE',
      `cannot restore into ${path}: it exists; close its pool and move it away first`,
    );
  }
  const binary = await askBinary(findBinary(replica.binary), signal);
  const request: Request = { replica: { ...replica, url }, file: path, at, signal };
  const restored = await restoreFrom(binary, request);
  if (restored === undefined) {
    throw restoreError(url, path, at ? 'there is no state of that time' : 'there is no replica');
  }
  return restored;
}
