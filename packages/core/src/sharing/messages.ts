import type { Answer, Command, Failure, OpenedInfo } from '../threads/protocol.js';

/** Raised with every change of what crosses the socket: those of another number cannot talk. */
export const WIRE = 1;

/** Options of a connection that change what a statement means: all processes must agree on them. */
export type Terms = Readonly<Record<string, unknown>>;

/** What a process says first. */
export interface Hello {
  poolite: 'hello';
  wire: number;
  pid: number;
  /** The database, by its real path. */
  file: string;
  /** Whether it wants commits to reach the disk, as `synchronous: 'full'` does. */
  full: boolean;
  terms: Terms;
}

/** What the process that writes answers: it does so once it has opened the file. */
export type Greeting =
  | { poolite: 'welcome'; wire: number; pid: number; info: OpenedInfo }
  | { poolite: 'refused'; wire: number; pid: number; code: string; message: string };

/** What a frame to the process that writes is a list of. */
export type Request =
  | Command
  /** Nothing is under way here any more: whoever closes need not wait for this process. */
  | { type: 'rest' }
  /** The caller has left: a unit's number in its group, or a call's, which is negative. */
  | { type: 'stop'; ticket: number }
  | { type: 'ping' };

/** What a frame from it is a list of. */
export type Response =
  | Answer
  | { type: 'granted'; turn: number }
  /** The turn was taken back: what its holder hears. */
  | { type: 'taken'; code: string; message: string }
  /** It will end: nothing new, and `rest` when all has been answered. */
  | { type: 'closing' }
  /** It goes on after all. */
  | { type: 'resumed' }
  | { type: 'pong' };

/** The answer to a call that comes to nothing but its end, with no transaction left open. */
export function done(task: number, failure?: Failure): Answer & { type: 'done' } {
  return { type: 'done', tasks: [task], failure, inTransaction: false };
}

/** Who said something that makes no sense: the connection is closed, and nothing else happens. */
export class Nonsense extends Error {
  override readonly name = 'Nonsense';
}
