import { once } from 'node:events';
import { realpathSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { clearDead } from './running-pools.js';
import type { PoolStats } from './stats.js';
import { defaultFolder, ownFolder, socketName, socketsIn } from './stats-place.js';

/** How long somebody who asked may take to read the answer, in ms. */
const READ_LIMIT = 2000;
const MOST_ASKING = 32;

/** The answer of a stats socket: one line of JSON. */
export interface StatsAnswer {
  /** The version of this answer. */
  poolite: 1;
  pid: number;
  /** The real path of the database file. */
  file: string;
  /** The program that has the pool open. */
  script: string;
  /** When the pool was opened, as ISO 8601 has it. */
  openedAt: string;
  stats: PoolStats;
}

/** Sockets of this process that are open: `exit` leaves none behind, also without a `close()`. */
const open = new Set<StatsSocket>();

function onExit(): void {
  for (const socket of open) socket.drop();
}

/** A path that was given as an URI, as SQLite has them, or as it is. */
function pathOf(file: string): string {
  if (!file.startsWith('file:')) return file;
  return fileURLToPath(new URL(file, pathToFileURL(`${process.cwd()}/`)));
}

/**
 * Tells the statistics of a database to whoever connects to a local socket, and hangs up: nothing
 * is ever read from there. It lies in a folder that nobody but the user may enter, keeps no process
 * alive, and goes with the pool.
 */
export class StatsSocket {
  readonly #folder: string;
  readonly #file: string;
  readonly #read: () => PoolStats;
  readonly #openedAt = new Date().toISOString();
  readonly #asking = new Set<Socket>();
  #server: Server | undefined;

  /** @param place a folder, or true for the one where it is looked for. */
  constructor(place: string | true, file: string, read: () => PoolStats) {
    this.#folder = place === true ? defaultFolder() : place;
    this.#file = file;
    this.#read = read;
  }

  /**
   * Listens; the file must exist. What keeps it from that is a warning of the process: an
   * application does not go without its database because nobody can look at its statistics.
   */
  open(): void {
    try {
      ownFolder(this.#folder);
      const file = realpathSync(pathOf(this.#file));
      const server = createServer((socket) => this.#answer(socket, file));
      server.maxConnections = MOST_ASKING;
      server.on('error', (error) => this.#warn(error));
      server.unref();
      this.#server = server;
      // A worker of `cluster` would otherwise ask its primary to listen.
      server.listen({ path: join(this.#folder, socketName(file)), exclusive: true });
      if (open.size === 0) process.on('exit', onExit);
      open.add(this);
    } catch (error) {
      this.#warn(error);
      return;
    }
    void clearDead(socketsIn(this.#folder));
  }

  /** Hangs up on everybody, and removes the socket. */
  async close(): Promise<void> {
    const server = this.#server;
    const closed = server?.listening === true ? once(server, 'close') : undefined;
    this.drop();
    await closed;
  }

  /** The same at the end of the process, when nobody waits any more. */
  drop(): void {
    for (const socket of this.#asking) socket.destroy();
    open.delete(this);
    if (open.size === 0) process.off('exit', onExit);
    if (this.#server?.listening === true) this.#server.close();
    this.#server = undefined;
  }

  #answer(socket: Socket, file: string): void {
    this.#asking.add(socket);
    const timer = setTimeout(() => socket.destroy(), READ_LIMIT).unref();
    socket.unref();
    socket.on('close', () => {
      clearTimeout(timer);
      this.#asking.delete(socket);
    });
    // Whoever asked has left: there is nobody to tell.
    socket.on('error', () => socket.destroy());
    const answer: StatsAnswer = {
      poolite: 1,
      pid: process.pid,
      file,
      script: process.argv[1] ?? process.title,
      openedAt: this.#openedAt,
      stats: this.#read(),
    };
    socket.end(`${JSON.stringify(answer)}\n`, () => socket.destroy());
  }

  #warn(error: unknown): void {
    const why = error instanceof Error ? error.message : String(error);
    process.emitWarning(`no statistics of ${JSON.stringify(this.#file)} on a socket: ${why}`, {
      type: 'PooliteWarning',
      code: 'POOLITE_STATS_SOCKET',
    });
  }
}
