import type { Thread } from '../threads/thread.js';
import type { Sent } from './task.js';

/** A reader thread, and what it has to do. */
export interface Reader {
  readonly place: number;
  thread: Thread;
  /** Whether its connection is open. */
  open: boolean;
  readonly sent: Map<number, Sent>;
  /** What it has to do, in microseconds as far as anybody can tell. */
  load: number;
  sessions: number;
  /** A session has given its connection back. */
  left(): void;
}

export function weight(reader: Reader): number {
  // One that is being replaced serves its sessions once it is open: better than none at all.
  return reader.sessions * 1000 + reader.load + (reader.open ? 0 : Number.MAX_SAFE_INTEGER);
}

/** The places that threads may have: each is a bit of what is known of a statement. */
const LAST_PLACE = 30;

/** Threads that were replaced since nobody could interrupt them, until their statements end. */
export class Retired {
  readonly readers = new Set<Reader>();
  readonly #most: number;
  readonly #onEnd: (place: number) => void;

  /** @param most as many of them as there are readers, so that what goes wrong is bounded. */
  constructor(most: number, onEnd: (place: number) => void) {
    this.#most = most;
    this.#onEnd = onEnd;
  }

  has(reader: Reader): boolean {
    return this.readers.has(reader);
  }

  /** A place for another thread; undefined where there are enough of them. */
  placeBeside(readers: readonly Reader[]): number | undefined {
    if (this.readers.size >= this.#most) return undefined;
    const taken = new Set([...readers, ...this.readers].map(({ place }) => place));
    for (let place = 1; place <= LAST_PLACE; place++) if (!taken.has(place)) return place;
    return undefined;
  }

  add(reader: Reader): void {
    this.readers.add(reader);
  }

  /** Ends a thread that nobody needs any more: what it ran is over, and so are its sessions. */
  look(reader: Reader): void {
    const { thread, sent, sessions } = reader;
    if (!this.readers.has(reader) || sent.size > 0 || sessions > 0 || !thread.alive) return;
    const task = thread.expect({ reply: () => {}, lost: () => {} });
    thread.post([{ type: 'close', task, checkpoint: false }]);
  }

  /** A thread has ended; true where it was one of these. */
  ended(reader: Reader): boolean {
    if (!this.readers.delete(reader)) return false;
    this.#onEnd(reader.place);
    return true;
  }
}
