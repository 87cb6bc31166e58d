import { createHash } from 'node:crypto';
import {
  chmodSync,
  lstatSync,
  mkdirSync,
  readlinkSync,
  realpathSync,
  type Stats,
  statSync,
  symlinkSync,
  unlinkSync,
} from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { PoolError } from '../errors.js';
import { defaultFolder, ownFolder } from '../observing/stats-place.js';

/** The longest path that a socket may have everywhere: macOS has 104 bytes, with a zero behind it. */
const LONGEST = 103;

/** Where the processes that share a file's writer meet. */
export interface Place {
  /** The database, by its real path. */
  readonly file: string;
  /** The small file whose lock the writer's process has. */
  readonly lock: string;
  /** The socket's path; on Windows a named pipe's name. */
  readonly socket: string;
  /** Where the socket is looked for, unless the user says where it is. */
  readonly usual: string;
  /** Whether the user said where the socket is. */
  readonly isNamed: boolean;
}

/** One name for one file, also through links, and also before the file exists. */
function realPath(file: string): string {
  try {
    return realpathSync(file);
  } catch {
    // It will be made; a folder that is missing too is told by whoever opens the file.
    const folder = dirname(file);
    const real = lstatSync(folder, { throwIfNoEntry: false }) ? realpathSync(folder) : folder;
    return join(real, basename(file));
  }
}

function hash(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 24);
}

/**
 * The place of a database: a folder beside it, which containers that share the volume see too.
 *
 * @param socketPath the socket, where the user named one.
 */
export function placeOf(file: string, socketPath: string | undefined): Place {
  const real = realPath(file);
  const folder = `${real}-writer`;
  const lock = join(folder, 'lock');
  // Whoever may use a pipe, Windows decides by its own rules: its name only has to be the file's own.
  const usual =
    process.platform === 'win32'
      ? `\\\\.\\pipe\\poolite-${hash(real.toLowerCase())}`
      : join(folder, 'socket');
  const socket = socketPath === undefined ? usual : pipeOr(resolve, socketPath);
  return { file: real, lock, socket, usual, isNamed: socket !== usual };
}

/** On Windows a path names a pipe; one that is no pipe's name already is made one. */
function pipeOr(path: (given: string) => string, given: string): string {
  if (process.platform !== 'win32') return path(given);
  return /^\\\\[.?]\\pipe\\/.test(given)
    ? given
    : `\\\\.\\pipe\\poolite-${hash(path(given).toLowerCase())}`;
}

/** Makes the folder of lock and socket, which nobody but the user may enter, where it is missing. */
export function makeFolder(lock: string): void {
  const folder = dirname(lock);
  try {
    mkdirSync(folder, { mode: 0o700 });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  }
  const why = distrust(folder);
  if (why !== undefined) throw new PoolError('POOL_MISUSE', why);
}

function distrust(folder: string): string | undefined {
  if (process.geteuid === undefined) return undefined;
  const stats = lstatSync(folder);
  if (!stats.isDirectory())
    return `${folder} is no folder: the pool keeps its writer's socket there`;
  if (stats.uid !== process.geteuid()) {
    return (
      `the folder ${folder} belongs to another user (${stats.uid}): processes that share a writer ` +
      'must run as one user'
    );
  }
  if ((stats.mode & 0o077) !== 0) {
    return `others may enter the folder ${folder}: it needs the mode 0700 (chmod 700 ${folder})`;
  }
  return undefined;
}

/**
 * Why a socket is not to be trusted; undefined where it is, or where there is none. Node.js cannot
 * ask the system who listens; but the owner of a socket is who made it.
 */
export function distrustSocket(path: string): string | undefined {
  if (process.geteuid === undefined) return undefined;
  const stats = statSync(path, { throwIfNoEntry: false });
  if (stats === undefined) return undefined;
  if (!stats.isSocket()) return `${path} is no socket`;
  if (stats.uid !== process.geteuid()) {
    return `the socket ${path} belongs to another user (${stats.uid}): it is not used`;
  }
  const folder = lstatSync(dirname(path));
  return replaceable(dirname(path), folder);
}

/** Whether others may put a socket of theirs in the place of ours. */
function replaceable(folder: string, stats: Stats): string | undefined {
  const sticky = (stats.mode & 0o1000) !== 0;
  if ((stats.mode & 0o022) === 0 || sticky) return undefined;
  return (
    `others may write to the folder ${folder}, and replace the socket in it: name one that only ` +
    'its owner may write to'
  );
}

/** Makes the folder of a socket that the user named, where it is missing. */
export function makeSocketFolder(path: string): void {
  if (process.platform === 'win32') return;
  const folder = dirname(path);
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const why = replaceable(folder, lstatSync(realpathSync(folder)));
  if (why !== undefined) throw new PoolError('POOL_OPTIONS', `option 'socketPath': ${why}`);
}

/**
 * The same socket by a path that is short enough: through a link, in a folder of the user's own,
 * to the folder that the socket is in. Where the socket is stays the same for all processes,
 * whatever each of them takes for its temporary folder.
 */
export function shortPath(path: string): string {
  if (process.platform === 'win32' || Buffer.byteLength(path) <= LONGEST) return path;
  const folder = dirname(path);
  const short = join(defaultFolder(), hash(folder));
  ownFolder(dirname(short));
  const isRight = () => {
    try {
      return readlinkSync(short) === folder;
    } catch {
      return false;
    }
  };
  if (!isRight()) {
    try {
      symlinkSync(folder, short);
    } catch (error) {
      // Another process of the user was faster; what else is there was nobody's but ours.
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
      if (!isRight()) {
        unlinkSync(short);
        symlinkSync(folder, short);
      }
    }
  }
  const through = join(short, basename(path));
  if (Buffer.byteLength(through) <= LONGEST) return through;
  throw new PoolError(
    'POOL_OPTIONS',
    `sockets need short paths, and ${through} has more than ${LONGEST} bytes: name another with ` +
      "writer: { socketPath: '…' }",
  );
}

/** Only its owner may connect. */
export function closeToOthers(socket: string): void {
  if (process.platform !== 'win32') chmodSync(socket, 0o600);
}
