import type { Entry } from './entry.js';

/** Where a replica is in the log: an entry, and its token. Number 0 and token '': nothing yet. */
export interface Position {
  number: number;
  token: string;
}

/** What the gate, on the writer's thread, asks the replica, on the calling thread. */
export type Question =
  /** The file was opened: is its position in the log, and what is behind it? */
  | { type: 'opened'; position: Position; schema: string; sqlite: string }
  /** Commit this as entry position.number+1. `token` is the new entry's. `attempt` from 1. */
  | {
      type: 'propose';
      position: Position;
      token: string;
      attempt: number;
      entry: Omit<Entry, 'number' | 'token' | 'previous'>;
    }
  /** After ROLLBACK, or in a pull: entries behind `position`, please. `attempt`: of the proposal that lost; 0 in a pull. */
  | { type: 'catchUp'; position: Position; attempt: number }
  /** An entry does not apply, or previous token/schema hash differ: put a sound state in the file's place. */
  | { type: 'quarantine'; position: Position; reason: string }
  /** An entry is a whole database: put it in the file's place. Its own position, which this is, is in it. */
  | { type: 'restore'; position: Position; snapshot: Uint8Array };

/** What it is told. */
export type Answer =
  /** To `propose`: COMMIT now. */
  | { type: 'stored' }
  /** To `propose`: roll back, catch up. */
  | { type: 'conflict' }
  /** To any: throw a PoolError of this code after rolling back. */
  | { type: 'failed'; code: string; message: string }
  /** To `catchUp`; more: ask again; again: false = retries are used up. */
  | { type: 'entries'; entries: Entry[]; more: boolean; again: boolean }
  /**
   * To `quarantine` and `restore`, and to `opened` and `catchUp` where what comes next was collected: the file's content
   * is another, which another connection put there. Read the position anew, and catch up from it.
   */
  | { type: 'restored' };

/** A message of the replica, in a turn of the writer of its own: catch up until there is no more. */
export type TurnMessage = { type: 'pull' };
