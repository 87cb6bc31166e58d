import {
  closeSync,
  constants,
  fsyncSync,
  linkSync,
  lstatSync,
  openSync,
  realpathSync,
  renameSync,
  type Stats,
  statSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { PoolError } from '../../errors.js';
import { JobState, JobWord } from '../../threads/job.js';
import { Aborted } from '../jobs/error.js';

/** What is at a path; undefined where nothing is. */
export function statOf(path: string): Stats | undefined {
  return statSync(path, { throwIfNoEntry: false });
}

/** The files that belong to a database, which are one with it. */
export const SIDE_FILES = ['-wal', '-shm', '-journal'] as const;

/**
 * Where a file will be put: through links, since a rename would replace the link and not what it
 * leads to.
 */
export function placeOf(path: string, what: string): string {
  const folder = dirname(path);
  const above = statOf(folder);
  if (above === undefined) {
    throw new PoolError('POOL_BACKUP', `the folder ${folder} does not exist: create it first`);
  }
  if (!above.isDirectory()) throw new PoolError('POOL_BACKUP', `${folder} is not a folder`);
  const found = statOf(path);
  if (found === undefined) {
    if (lstatSync(path, { throwIfNoEntry: false })?.isSymbolicLink()) {
      throw new PoolError('POOL_MISUSE', `${what} ${path} is a link that leads nowhere`);
    }
    return join(realpathSync(folder), basename(path));
  }
  if (found.isDirectory()) {
    throw new PoolError('POOL_MISUSE', `${what} ${path} is a folder: name a file in it`);
  }
  if (!found.isFile()) throw new PoolError('POOL_MISUSE', `${what} ${path} is not a regular file`);
  return realpathSync(path);
}

export function isSameFile(a: string, b: string): boolean {
  if (a === b) return true;
  const one = statOf(a);
  const other = statOf(b);
  return one !== undefined && one.ino === other?.ino && one.dev === other.dev;
}

/** Refuses a target that is the database itself, or one that somebody uses. */
export function checkTarget(target: string, source: string | undefined): void {
  for (const end of source === undefined ? [] : ['', ...SIDE_FILES]) {
    if (!isSameFile(target, `${source}${end}`)) continue;
    throw new PoolError('POOL_MISUSE', `${target} is the database itself: name another file`);
  }
  for (const end of ['-wal', '-journal']) {
    if (statOf(`${target}${end}`) === undefined) continue;
    throw new PoolError(
      'POOL_MISUSE',
      `${target} is a database, since ${target}${end} is beside it, which would spoil a file put in ` +
        'its place: name another file, or use restoreBackup',
    );
  }
}

/** What a file system says that has no second names for a file. */
export const NO_LINKS = ['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS'];

/** Opening for writing is needed to flush, on some systems. */
export function flush(file: string): void {
  const fd = openSync(file, constants.O_RDWR);
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

/** Makes a rename last through a power failure, where the system has a way to. */
export function flushFolder(folder: string): void {
  if (process.platform === 'win32') return;
  const fd = openSync(folder, 'r');
  try {
    fsyncSync(fd);
  } catch (error) {
    // Some file systems have nothing to flush for a folder.
    if (!['EINVAL', 'ENOTSUP'].includes((error as NodeJS.ErrnoException).code ?? '')) throw error;
  } finally {
    closeSync(fd);
  }
}

/** From here on the job cannot be given up; it was, where it throws. */
export function decide(control: Int32Array): void {
  const { running, placed } = JobState;
  const found = Atomics.compareExchange(control, JobWord.state, running, placed);
  if (found !== running) throw new Aborted('given up');
}

export function thereAlready(target: string): PoolError {
  return new PoolError('POOL_BACKUP', `${target} is there already, and shall not be replaced`);
}

/** The same where nothing may be replaced, not what has appeared a moment ago either. */
export function placeNew(file: string, target: string): void {
  try {
    linkSync(file, target);
  } catch (error) {
    const { code = '' } = error as NodeJS.ErrnoException;
    if (code === 'EEXIST') throw thereAlready(target);
    if (!NO_LINKS.includes(code)) throw error;
    // This file system has no second names.
    if (statOf(target) !== undefined) throw thereAlready(target);
    renameSync(file, target);
  }
  flushFolder(dirname(target));
}

/** Puts a finished file in its place, all at once. */
export function place(file: string, target: string): void {
  renameSync(file, target);
  flushFolder(dirname(target));
}
