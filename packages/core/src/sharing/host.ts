import { lstatSync, symlinkSync, unlinkSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { PoolError } from '../errors.js';
import type { OpenedInfo } from '../threads/protocol.js';
import { checkHello, isObject } from './checks.js';
import { reaches } from './connect.js';
import type { Desk } from './desk.js';
import { FrameReader, frame, LONGEST_FRAME } from './frames.js';
import { Guest } from './guest.js';
import { type Greeting, type Hello, type Terms, WIRE } from './messages.js';
import { closeToOthers, distrustSocket, makeSocketFolder, type Place, shortPath } from './place.js';

/** How long, in ms, somebody who connects may take to say who it is. */
const GREETING_LIMIT = 10_000;
const MOST_GUESTS = 1024;

export interface HostOwner {
  /** A place at the writer for a process. */
  desk(): Desk;
  /** A process wants commits to reach the disk: from now on they do. */
  wantsFull(): void;
  /** A process has come or gone, or rests. */
  changed(): void;
  /** The socket cannot be made. */
  failed(error: Error): void;
}

/** What the process that writes does for the others: it listens, and has a guest for each. */
export class Host {
  readonly #place: Place;
  readonly #terms: Terms;
  readonly #owner: HostOwner;
  readonly #guests = new Set<Guest>();
  /** Those who have not said who they are, or wait until the file is open. */
  readonly #comers = new Set<Socket>();
  #server: Server | undefined;
  #info: OpenedInfo | undefined;
  #whenOpen: (() => void)[] = [];
  #closing = false;
  /** What the socket's file is: another may be in its place by now. */
  #inode: number | undefined;

  constructor(place: Place, terms: Terms, owner: HostOwner) {
    this.#place = place;
    this.#terms = terms;
    this.#owner = owner;
  }

  get guests(): number {
    return this.#guests.size;
  }

  /** Whether some process has something under way here, or may ask for something. */
  get isBusy(): boolean {
    for (const guest of this.#guests) if (!guest.resting) return true;
    return false;
  }

  /** Listens at once where the lock alone says whose the socket is; else asks who is there. */
  listen(): void {
    try {
      const { socket, isNamed } = this.#place;
      if (isNamed) makeSocketFolder(socket);
      const why = distrustSocket(socket);
      if (why !== undefined) throw new PoolError('POOL_MISUSE', why);
      if (!isNamed) return this.#listen();
    } catch (error) {
      return this.#owner.failed(error as Error);
    }
    reaches(this.#place.socket).then((isTaken) => {
      if (this.#closing) return;
      if (!isTaken) return this.#listen();
      const { socket } = this.#place;
      const message = `somebody listens at ${socket} already: stop that, or name another socketPath`;
      this.#owner.failed(new PoolError('POOL_IN_USE', message));
    });
  }

  #listen(): void {
    const { socket } = this.#place;
    try {
      // Whoever had the lock before has left it behind: it had no time to remove it.
      if (process.platform !== 'win32') remove(socket);
      const server = createServer((comer) => this.#welcome(comer));
      this.#server = server;
      server.maxConnections = MOST_GUESTS;
      server.on('error', (error) => this.#owner.failed(error));
      // A worker of `cluster` would otherwise ask its primary to listen.
      server.listen({ path: shortPath(socket), exclusive: true });
      if (process.platform !== 'win32' && server.listening) {
        closeToOthers(socket);
        this.#inode = lstatSync(socket).ino;
        if (this.#place.isNamed) pointTo(socket, this.#place.usual);
      }
      server.unref();
    } catch (error) {
      this.#owner.failed(error as Error);
    }
  }

  /** The file is open: whoever came meanwhile is let in. */
  opened(info: OpenedInfo): void {
    this.#info = info;
    for (const open of this.#whenOpen.splice(0)) open();
  }

  /** Asks the guests to finish what they have under way, and to begin nothing new. */
  pause(): void {
    this.#closing = true;
    for (const guest of this.#guests) guest.say({ type: 'closing' });
    for (const comer of this.#comers) comer.destroy();
  }

  /** They may go on after all. */
  resume(): void {
    this.#closing = false;
    for (const guest of this.#guests) guest.say({ type: 'resumed' });
  }

  /** Hangs up on everybody: another process may listen now. */
  close(): void {
    this.#closing = true;
    for (const comer of this.#comers) comer.destroy();
    for (const guest of [...this.#guests]) guest.close();
    this.#server?.close();
    this.#server = undefined;
    if (process.platform === 'win32' || this.#inode === undefined) return;
    const { socket } = this.#place;
    if (lstatSync(socket, { throwIfNoEntry: false })?.ino !== this.#inode) return;
    remove(socket);
    if (this.#place.isNamed) remove(this.#place.usual);
  }

  #welcome(socket: Socket): void {
    if (this.#closing) return void socket.destroy();
    this.#comers.add(socket);
    socket.unref();
    const reader = new FrameReader();
    const limit = setTimeout(() => socket.destroy(), GREETING_LIMIT).unref();
    const read = (chunk: Buffer) => {
      try {
        reader.add(chunk);
        const next = reader.next();
        if (next === undefined) return;
        clearTimeout(limit);
        socket.off('data', read);
        // What comes behind is for the guest to read.
        socket.pause();
        if (isPing(next.value)) return void socket.end(frame({ poolite: 'pong' }));
        this.#meet(socket, reader, checkHello(next.value));
      } catch {
        socket.destroy();
      }
    };
    socket.on('data', read);
    socket.on('error', () => socket.destroy());
    socket.on('close', () => {
      clearTimeout(limit);
      this.#comers.delete(socket);
    });
  }

  #meet(socket: Socket, reader: FrameReader, hello: Hello): void {
    const info = this.#info;
    if (info === undefined) {
      this.#whenOpen.push(() => this.#meet(socket, reader, hello));
      return;
    }
    if (socket.destroyed) return;
    const about = { wire: WIRE, pid: process.pid };
    const refusal = refusalOf(hello, this.#place.file, this.#terms);
    if (refusal !== undefined) {
      socket.end(frame({ poolite: 'refused', ...about, ...refusal } satisfies Greeting));
      return;
    }
    if (hello.full) this.#owner.wantsFull();
    this.#comers.delete(socket);
    socket.write(frame({ poolite: 'welcome', ...about, info } satisfies Greeting));
    reader.longest = LONGEST_FRAME;
    socket.resume();
    const guest = new Guest(socket, reader, hello.pid, this.#owner.desk(), {
      rested: () => this.#owner.changed(),
      left: (gone) => {
        this.#guests.delete(gone);
        this.#owner.changed();
      },
    });
    this.#guests.add(guest);
    this.#owner.changed();
  }
}

function isPing(value: unknown): boolean {
  return isObject(value) && value.poolite === 'ping';
}

/** Why a process cannot be served, in words for its user. */
function refusalOf(
  { wire, file, terms }: Hello,
  mine: string,
  own: Terms,
): { code: string; message: string } | undefined {
  if (wire !== WIRE) {
    return {
      code: 'POOL_MISUSE',
      message:
        `the process that writes (${process.pid}) speaks version ${WIRE} of poolite's protocol, and ` +
        `this one version ${wire}: run the same version of @poolite/core in both`,
    };
  }
  if (file !== mine) {
    return {
      code: 'POOL_MISUSE',
      message: `the process ${process.pid} writes another database there: ${JSON.stringify(mine)}`,
    };
  }
  for (const name of Object.keys(own)) {
    if (JSON.stringify(own[name]) === JSON.stringify(terms[name])) continue;
    return {
      code: 'POOL_OPTIONS',
      message:
        `option '${name}' is ${JSON.stringify(terms[name])} here and ${JSON.stringify(own[name])} in ` +
        `the process that writes (${process.pid}): processes that share a writer need the same`,
    };
  }
  return undefined;
}

/** Who looks where the socket usually is finds it as well: it is a link to it then. */
function pointTo(socket: string, usual: string): void {
  remove(usual);
  symlinkSync(socket, usual);
}

function remove(path: string): void {
  try {
    unlinkSync(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
}
