import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { resolve } from 'node:path';
import { PoolError, type PoolErrorCode } from './errors.js';
import { text } from './option-checks.js';
import { type PoolOptions, resolveOptions } from './options.js';
import { Pool } from './pool.js';
import { share } from './registry.js';
import { ping } from './sharing/connect.js';
import { placeOf } from './sharing/place.js';
import { threadFile } from './threads/home.js';

/** Options of `startWriterServer`: those of the pool that writes, and these. */
export interface WriterServerOptions extends Omit<PoolOptions, 'writer' | 'readonly'> {
  /**
   * The path of its Unix socket, or the name of its pipe on Windows. Default: a socket in the folder
   * `<file>-writer`, where pools with `writer: 'shared'` look too.
   */
  socketPath?: string;
  /**
   * Whether the writer runs in this very process, which then should do little else. Default: false:
   * a process of its own is started, and ends with this one.
   */
  inProcess?: boolean;
}

/** A writer for the pools of other processes. */
export interface WriterServer extends AsyncDisposable {
  /** Where it listens: what pools are given as `writer: { socketPath }`. */
  readonly socketPath: string;
  /** The process that writes. */
  readonly pid: number;
  /** How long an answer of it takes, in ms. Rejects with POOL_TIMEOUT after 5000 ms. */
  ping(): Promise<number>;
  /** Ends it once what its clients have under way has ended, at most 10 s later. */
  shutdown(): Promise<void>;
  /** Ends it at once: what is under way is rolled back, and its callers hear so. */
  stop(): Promise<void>;
}

/** How long, in ms, a process may take to open the file, and to end when it is told to at once. */
const OPENING = 30_000;
const STOPPING = 1000;
const PING = 5000;

/**
 * Starts a writer that pools of other processes use, with `writer: { socketPath }` or, at its
 * default place, `writer: 'shared'`. Resolves once the file is open and it listens.
 *
 * @throws PoolError POOL_IN_USE where another process writes the file for all, or listens at that
 * socket; POOL_OPTIONS; and whatever keeps the file from being opened.
 *
 * @example
 * ```ts
 * import { createPool, startWriterServer } from '@poolite/core';
 *
 * const server = await startWriterServer('app.db', { synchronous: 'full' });
 * const { socketPath } = server;
 * const pool = createPool('app.db', { writer: { socketPath }, synchronous: 'full' });
 * await pool.exec('CREATE TABLE note (text TEXT)');
 * console.log(pool.stats().writer.pid === server.pid); // true
 * await pool.close();
 * await server.shutdown();
 * ```
 */
export async function startWriterServer(
  file: string,
  options: WriterServerOptions = {},
): Promise<WriterServer> {
  const { socketPath, inProcess = false, ...poolOptions } = options;
  if (socketPath !== undefined) text('socketPath', socketPath);
  if (typeof inProcess !== 'boolean') {
    throw new PoolError('POOL_OPTIONS', `option 'inProcess' must be true or false`);
  }
  const resolved = resolveOptions(file, { readers: 1, ...poolOptions, writer: 'shared' });
  if (!inProcess) return startProcess(resolve(file), { socketPath, ...poolOptions });
  const sharing = Object.freeze({
    ...(resolved.sharing as NonNullable<typeof resolved.sharing>),
    socketPath,
    mustWrite: true,
  });
  const pool = new Pool(share(Object.freeze({ ...resolved, sharing })));
  try {
    await pool.ready();
  } catch (error) {
    await pool.close();
    throw error;
  }
  // Whoever serves has something to do, until it is told to end.
  const alive = setInterval(() => {}, 2 ** 30);
  const end = async (force: boolean) => {
    clearInterval(alive);
    await pool.close({ force });
  };
  return serverOf(placeOf(resolved.connection.file, socketPath).socket, process.pid, end);
}

function serverOf(
  socketPath: string,
  pid: number,
  end: (force: boolean) => Promise<void>,
): WriterServer {
  const shutdown = () => end(false);
  return {
    socketPath,
    pid,
    ping: () => ping(socketPath, PING),
    shutdown,
    stop: () => end(true),
    [Symbol.asyncDispose]: shutdown,
  };
}

/** The program of the process: it ends when it is told to, or when who started it has ended. */
const PROGRAM = `
const [url, file, options] = process.argv.slice(1);
const tell = (message) => { if (process.connected) process.send(message); };
try {
  const { startWriterServer } = await import(url);
  const server = await startWriterServer(file, { ...JSON.parse(options), inProcess: true });
  const end = async (force) => {
    await (force ? server.stop() : server.shutdown());
    if (process.connected) process.disconnect();
  };
  process.on('message', (message) => end(message === 'stop'));
  process.on('disconnect', () => end(false));
  // What ends the terminal's programs ends who started this one, which says what is to be done.
  process.on('SIGINT', () => {});
  process.on('SIGTERM', () => end(false));
  tell({ socketPath: server.socketPath });
} catch (error) {
  tell({ code: error.code, message: error.message });
  process.exitCode = 1;
  if (process.connected) process.disconnect();
}
`;

async function startProcess(file: string, options: object): Promise<WriterServer> {
  const index = new URL('./index.js', threadFile()).href;
  const args = ['--input-type=module', '-e', PROGRAM, '--', index, file, JSON.stringify(options)];
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
  const exited = new Promise<void>((done) => child.on('exit', () => done()));
  const socketPath = await opened(child, exited);
  return serverOf(socketPath, child.pid as number, async (force) => {
    if (child.connected) child.send(force ? 'stop' : 'shutdown', () => {});
    const timer = force ? setTimeout(() => child.kill('SIGKILL'), STOPPING) : undefined;
    if (child.exitCode === null && child.signalCode === null) await exited;
    clearTimeout(timer);
  });
}

interface Told {
  socketPath?: string;
  code?: string;
  message?: string;
}

/** Where it listens. One that cannot has ended, and lets go of its files, before that is told. */
async function opened(child: ChildProcess, exited: Promise<void>): Promise<string> {
  const limit = setTimeout(() => child.kill('SIGKILL'), OPENING);
  const told: Told = await Promise.race([
    once(child, 'message').then(([message]) => message as Told),
    once(child, 'exit').then(([code, signal]) => ({ message: `it ended with ${code ?? signal}` })),
  ]);
  if (told.socketPath === undefined) await exited;
  clearTimeout(limit);
  if (told.socketPath !== undefined) return told.socketPath;
  const message = `the writer's process could not start: ${told.message}`;
  const { code = '' } = told;
  if (code.startsWith('POOL_')) throw new PoolError(code as PoolErrorCode, told.message as string);
  throw Object.assign(new Error(message), code === '' ? {} : { code });
}
