import { realpathSync, unlinkSync } from 'node:fs';
import { createConnection } from 'node:net';
import { resolve } from 'node:path';
import type { PoolStats } from './stats.js';
import { distrust, knownFolders, mark, type SocketEntry, socketsIn } from './stats-place.js';
import type { StatsAnswer } from './stats-socket.js';

/** The longest answer that is read. */
const MOST_BYTES = 1024 * 1024;
const DEFAULT_TIMEOUT = 2000;
/** Sockets of dead processes that are looked for at a time. */
const MOST_CLEARED = 256;

/** A pool of this machine that was opened with the option `statsSocket`. */
export interface RunningPool {
  /** The process. */
  pid: number;
  /** The path of its socket. */
  socket: string;
  /** What it told; undefined where it did not answer in time, its event loop being busy. */
  told:
    | {
        /** The real path of the database file. */
        file: string;
        /** The program that has the pool open. */
        script: string;
        /** When the pool was opened, as ISO 8601 has it. */
        openedAt: string;
        /** What its `pool.stats()` says. */
        stats: PoolStats;
      }
    | undefined;
}

/** Options of `runningPools`. */
export interface RunningPoolsOptions {
  /** The folder that the pools were given as `statsSocket`. Default: where `true` puts it. */
  folder?: string | undefined;
  /** How long a pool may take to answer, in ms. Default: 2000. */
  timeout?: number | undefined;
}

/**
 * The pools of this user that have a database file open, in any process of this machine, with their
 * statistics; only those that were opened with the option `statsSocket`. For the system's
 * administrator, the pools of all users. None on Windows.
 *
 * @param file the path of the database file; where it is undefined, all pools.
 * @example
 * ```ts
 * import { createPool, runningPools } from '@poolite/core';
 *
 * await using pool = createPool('app.db', { statsSocket: './sockets' });
 * await pool.ready();
 * const [found] = await runningPools('app.db', { folder: './sockets' });
 * console.log(found?.pid === process.pid, found?.told?.stats.state); // true open
 * ```
 */
export async function runningPools(
  file?: string,
  { folder, timeout = DEFAULT_TIMEOUT }: RunningPoolsOptions = {},
): Promise<RunningPool[]> {
  if (process.platform === 'win32') return [];
  const real = file === undefined ? undefined : realPath(file);
  const wanted = real === undefined ? undefined : mark(real);
  const folders = folder === undefined ? knownFolders() : [resolve(folder)];
  const entries = folders
    .filter((each) => distrust(each) === undefined)
    .flatMap(socketsIn)
    .filter((entry) => wanted === undefined || entry.mark === wanted);
  const found = await Promise.all(
    entries.map(async (entry): Promise<RunningPool | undefined> => {
      const { pid, path: socket } = entry;
      const answer = await ask(socket, timeout);
      if (answer === 'silent') return { pid, socket, told: undefined };
      if (answer === 'refused') clear(entry);
      if (typeof answer === 'string') return undefined;
      const { file, script, openedAt, stats } = answer;
      if (real !== undefined && file !== real) return undefined;
      return { pid, socket, told: { file, script, openedAt, stats } };
    }),
  );
  return found.filter((pool) => pool !== undefined).sort((a, b) => a.pid - b.pid);
}

function realPath(file: string): string {
  try {
    return realpathSync(file);
  } catch {
    return resolve(file);
  }
}

/** Removes the sockets whose processes have ended without doing so. */
export async function clearDead(entries: readonly SocketEntry[]): Promise<void> {
  const dead = entries.filter(({ pid }) => !isAlive(pid)).slice(0, MOST_CLEARED);
  await Promise.all(
    dead.map(async (entry) => {
      if ((await ask(entry.path, DEFAULT_TIMEOUT)) === 'refused') clear(entry);
    }),
  );
}

/**
 * Removes a socket that nobody listens on. A process may be alive and have another number here,
 * in a container: so it must have refused as well; and one that is about to listen refuses too.
 */
function clear({ path, pid }: SocketEntry): void {
  if (isAlive(pid)) return;
  try {
    unlinkSync(path);
  } catch {
    // Somebody else did, or may not: it is in nobody's way.
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== 'ESRCH';
  }
}

/** Asks one socket; `'refused'` where nobody listens, `'foreign'` where no pool answers. */
function ask(path: string, timeout: number): Promise<StatsAnswer | Refusal> {
  return new Promise((resolve) => {
    const parts: Buffer[] = [];
    let bytes = 0;
    const socket = createConnection(path);
    socket.unref();
    const timer = setTimeout(() => finish('silent'), timeout);
    const finish = (answer: StatsAnswer | Refusal) => {
      clearTimeout(timer);
      socket.destroy();
      resolve(answer);
    };
    socket.on('data', (part: Buffer) => {
      bytes += part.length;
      if (bytes > MOST_BYTES) return finish('foreign');
      parts.push(part);
    });
    socket.on('end', () => finish(parse(Buffer.concat(parts).toString('utf8'))));
    socket.on('error', (error: NodeJS.ErrnoException) => {
      finish(error.code === 'ECONNREFUSED' ? 'refused' : 'foreign');
    });
  });
}

type Refusal = 'silent' | 'refused' | 'foreign';

function parse(text: string): StatsAnswer | Refusal {
  let answer: Partial<StatsAnswer> | null;
  try {
    answer = JSON.parse(text) as typeof answer;
  } catch {
    return 'foreign';
  }
  const fits =
    answer?.poolite === 1 &&
    typeof answer.file === 'string' &&
    typeof answer.script === 'string' &&
    typeof answer.openedAt === 'string' &&
    typeof answer.stats === 'object' &&
    answer.stats !== null;
  return fits ? (answer as StatsAnswer) : 'foreign';
}
