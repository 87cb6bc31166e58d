import { chmodSync, chownSync, linkSync, renameSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { PoolError } from '../../errors.js';
import {
  Connection,
  type ConnectionOptions,
  loadSetup,
  type Setup,
} from '../../threads/connection.js';
import { checkFile, pagesOf } from '../backups/check.js';
import { compressionOf, unpack } from '../backups/compress.js';
import type { RestoreResult } from '../backups/options.js';
import {
  decide,
  flush,
  flushFolder,
  isSameFile,
  NO_LINKS,
  place,
  placeOf,
  SIDE_FILES,
  statOf,
} from '../backups/place.js';
import { plainConnection, Scratch, sweep } from '../backups/scratch.js';
import { checkBackup } from '../backups/verify.js';
import { step, throwIfAborted } from '../jobs/error.js';
import type { JobContext, RestoreJob } from '../jobs/messages.js';
import { openersOf } from '../system/open-files.js';

/** Puts a backup in the place of a database. */
export async function restore(job: RestoreJob, context: JobContext): Promise<RestoreResult> {
  const started = performance.now();
  const { connection, control, note } = context;
  checkBackup(job.backup);
  const target = await step(`${job.file} cannot be written`, () =>
    placeOf(job.file, 'the database'),
  );
  if (isSameFile(job.backup, target)) {
    throw new PoolError('POOL_MISUSE', `${job.backup} is the database itself: name another file`);
  }
  const old = statOf(target);
  refuseOpeners(target, old !== undefined);
  await step(`${target} cannot be written`, () => sweep(dirname(target), connection));
  const scratch = await step(`${target} cannot be written`, () => new Scratch(target, connection));
  let setup: Setup | undefined;
  try {
    note({ type: 'scratch', path: scratch.path });
    const copy = scratch.file('copy');
    await step(`${target} cannot be written`, () =>
      unpack(job.backup, copy, compressionOf(job.backup), control),
    );
    throwIfAborted(control);
    const pages = pagesOf(copy, job.backup);
    setup = await loadSetup(connection.setup);
    const found = await step(`the backup ${job.backup} cannot be verified`, () =>
      checkFile(connection, setup, copy, job.verify),
    );
    if (found.verdict === 'damaged') {
      throw new PoolError(
        'POOL_BACKUP',
        `the backup ${job.backup} is damaged, and ${target} was left as it is: ${found.problems.slice(0, 3).join('; ')}`,
      );
    }
    await step(`${target} cannot be replaced`, () => {
      enterWal(plainConnection(connection, copy, 'write', 5000));
      if (old !== undefined) keepOwner(copy, old);
      flush(copy);
      decide(control);
      replace(copy, target, scratch, connection, setup);
    });
    const { size: bytes } = statSync(target);
    return {
      path: target,
      bytes,
      ...pages,
      ...found,
      verified: job.verify,
      replaced: old !== undefined,
      duration: performance.now() - started,
    };
  } finally {
    scratch.remove();
  }
}

/** A backup leaves WAL mode; a database of a pool is in it. */
function enterWal(connection: Connection): void {
  try {
    connection.pragma('journal_mode = WAL');
  } finally {
    connection.close();
  }
}

function keepOwner(
  copy: string,
  { mode, uid, gid }: { mode: number; uid: number; gid: number },
): void {
  chmodSync(copy, mode & 0o777);
  const now = statSync(copy);
  if (now.uid === uid && now.gid === gid) return;
  chownSync(copy, uid, gid);
}

function refuseOpeners(target: string, isThere: boolean): void {
  const openers = isThere ? openersOf(target) : [];
  if (openers.length === 0) return;
  const names = openers.map(({ pid, command }) =>
    pid === process.pid ? 'this process (close its pool first)' : `process ${pid} (${command})`,
  );
  throw new PoolError(
    'POOL_IN_USE',
    `${target} is open in ${names.join(', ')}: it cannot be replaced`,
  );
}

/**
 * The lock on a database that nobody else has open: leaving WAL mode needs the file to oneself,
 * since every connection in WAL mode holds a lock on it for as long as it is open
 * (https://sqlite.org/wal.html#activating_and_configuring_wal_mode). It also moves the whole WAL
 * into the file, so that the old database is complete when it is put aside, and removes -wal and
 * -shm. Whoever was opening the old file meanwhile finds it outside WAL mode, where SQLite refuses
 * to write to a file that was moved (SQLITE_READONLY_DBMOVED), and so makes no -wal that the new
 * one would take for its own.
 *
 * Undefined where the file is no database that SQLite can read: nobody can lock, nor use it.
 */
function lockOld(
  target: string,
  connection: ConnectionOptions,
  setup: Setup | undefined,
): Connection | undefined {
  let lock: Connection | undefined;
  try {
    lock = new Connection({ ...connection, file: target, readonly: false }, 'write', 0);
    lock.configure(setup);
    const [row] = lock.pragma('journal_mode = DELETE') as { journal_mode: string }[];
    lock.control('BEGIN EXCLUSIVE');
    const [now] = lock.pragma('journal_mode') as { journal_mode: string }[];
    if (row?.journal_mode === 'delete' && now?.journal_mode === 'delete') return lock;
  } catch (error) {
    const { code = '' } = error as { code?: string };
    if (/^SQLITE_(CORRUPT|NOTADB)/.test(code)) {
      lock?.close();
      return undefined;
    }
    if (!code.startsWith('SQLITE_BUSY')) {
      lock?.close();
      throw error;
    }
  }
  lock?.close();
  throw new PoolError(
    'POOL_IN_USE',
    `${target} is open elsewhere, since its lock cannot be had: close it there first`,
  );
}

/** Replaces the database; it is as it was where that fails. */
function replace(
  copy: string,
  target: string,
  scratch: Scratch,
  connection: ConnectionOptions,
  setup: Setup | undefined,
): void {
  const isThere = statOf(target) !== undefined;
  const lock = isThere ? lockOld(target, connection, setup) : undefined;
  const aside: [from: string, to: string][] = [];
  try {
    // What is left of the old database beside it would be taken for the new one's, and spoil it.
    for (const end of SIDE_FILES) {
      if (statOf(`${target}${end}`) === undefined) continue;
      const to = scratch.file(`old${end}`);
      renameSync(`${target}${end}`, to);
      aside.push([`${target}${end}`, to]);
    }
    if (aside.length > 0) flushFolder(dirname(target));
    const kept = isThere && keep(target, scratch.file('old'));
    if (process.platform === 'win32') lock?.close();
    try {
      place(copy, target);
    } catch (error) {
      if (kept) renameSync(scratch.file('old'), target);
      throw error;
    }
  } catch (error) {
    for (const [from, to] of aside) renameSync(to, from);
    throw error;
  } finally {
    lock?.close();
  }
}

/** Keeps the old file under a second name. Where the file system has none, the rename is all there is. */
function keep(target: string, old: string): boolean {
  try {
    linkSync(target, old);
    return true;
  } catch (error) {
    const { code = '' } = error as NodeJS.ErrnoException;
    if (!NO_LINKS.includes(code)) throw error;
    return false;
  }
}
