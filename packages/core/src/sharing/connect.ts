import { connect, type Socket } from 'node:net';
import { PoolError, type PoolErrorCode } from '../errors.js';
import { isObject, must } from './checks.js';
import { FrameReader, frame, LONGEST_FRAME } from './frames.js';
import { type Greeting, type Hello, WIRE } from './messages.js';
import { distrustSocket, type Place, shortPath } from './place.js';

/** The other process will not serve this one: trying again does not help. */
export class Refused extends Error {
  readonly error: PoolError;

  constructor(error: PoolError) {
    super(error.message);
    this.error = error;
  }
}

/** A connection to the process that writes, which has said that it does. */
export interface Met {
  readonly socket: Socket;
  readonly reader: FrameReader;
  readonly greeting: Greeting & { poolite: 'welcome' };
}

/** A connection that is being made. */
export interface Meeting {
  readonly met: Promise<Met>;
  /** Whether somebody listens, who has not answered yet. */
  isConnected(): boolean;
  abandon(): void;
}

/** Connects to the process that writes. Rejects with `Refused`, or where nobody is there. */
export function meet(place: Place, hello: Hello): Meeting {
  let socket: Socket;
  try {
    const why = distrustSocket(place.socket);
    if (why !== undefined) throw new Refused(new PoolError('POOL_MISUSE', why));
    socket = connect({ path: shortPath(place.socket) });
  } catch (error) {
    return { met: Promise.reject(error), isConnected: () => false, abandon: () => {} };
  }
  const reader = new FrameReader();
  const met = new Promise<Met>((resolve, reject) => {
    const read = (chunk: Buffer) => {
      try {
        reader.add(chunk);
        const next = reader.next();
        if (next === undefined) return;
        socket.off('data', read);
        socket.pause();
        const greeting = checkGreeting(next.value);
        reader.longest = LONGEST_FRAME;
        resolve({ socket, reader, greeting });
      } catch (error) {
        socket.destroy();
        reject(error);
      }
    };
    socket.on('connect', () => socket.write(frame(hello)));
    socket.on('data', read);
    socket.on('error', reject);
    socket.on('close', () => reject(new Error('the process hung up')));
    socket.unref();
  });
  const isConnected = () => !socket.destroyed && !socket.connecting;
  return { met, isConnected, abandon: () => socket.destroy() };
}

function checkGreeting(value: unknown): Greeting & { poolite: 'welcome' } {
  must(isObject(value), 'no greeting');
  const greeting = value as unknown as Greeting;
  if (greeting.poolite === 'refused') {
    throw new Refused(new PoolError(greeting.code as PoolErrorCode, String(greeting.message)));
  }
  must(greeting.poolite === 'welcome', 'no greeting');
  if (greeting.wire !== WIRE) {
    const message =
      `the process that writes (${greeting.pid}) speaks version ${greeting.wire} of poolite's ` +
      `protocol, and this one version ${WIRE}: run the same version of @poolite/core in both`;
    throw new Refused(new PoolError('POOL_MISUSE', message));
  }
  return greeting;
}

/** How long, in ms, an answer of whoever listens at a socket takes. */
export function ping(path: string, limit: number): Promise<number> {
  const why = distrustSocket(path);
  if (why !== undefined) return Promise.reject(new PoolError('POOL_MISUSE', why));
  const asked = performance.now();
  const socket = connect({ path: shortPath(path) });
  const reader = new FrameReader();
  return new Promise((resolve, reject) => {
    const fail = (what: string) => {
      socket.destroy();
      const message = `the writer at ${path} ${what}`;
      reject(new PoolError('POOL_TIMEOUT', message));
    };
    const timer = setTimeout(() => fail(`has not answered for ${limit} ms`), limit);
    socket.on('connect', () => socket.write(frame({ poolite: 'ping' })));
    socket.on('data', (chunk) => {
      try {
        reader.add(chunk as Buffer);
        if (reader.next() === undefined) return;
        resolve(performance.now() - asked);
        socket.destroy();
      } catch {
        fail('answered what makes no sense');
      }
    });
    socket.on('error', (error) => fail(`is not there (${error.message})`));
    socket.on('close', () => {
      clearTimeout(timer);
      fail('hung up');
    });
  });
}

/** Whether somebody listens at a socket. */
export function reaches(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ path: shortPath(path) });
    socket.on('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.on('error', () => resolve(false));
  });
}
