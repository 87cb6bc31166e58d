import type { Statement } from '../statements/catalogue.js';
import type { BoundParams } from '../statements/params.js';
import type { Method } from '../threads/protocol.js';
import { Failed } from '../threads/result.js';
import type { Reader } from './retired.js';

/** A one-shot read on its way. */
export interface ReadTask {
  readonly statement: Statement;
  readonly method: Method;
  readonly params: BoundParams;
  /** Whether somebody who has the writer waits for it: then it is not held before the rest is. */
  readonly urgent: boolean;
  /** Takes the rows, a `Failed`, or an error of the pool's own. */
  settle(result: unknown): void;
}

/** A task and where it stands. */
export class Sent {
  readonly task: ReadTask;
  readonly ticket: number;
  readonly slot: number;
  /** When it was sent, in ms. */
  readonly since: number;
  /** The readers that have a copy of it. */
  readonly copies: Reader[] = [];
  /** The blocks of a large result that came so far. */
  rows: unknown[] | undefined;

  constructor(task: ReadTask, ticket: number, slot: number, since: number) {
    this.task = task;
    this.since = since;
    this.ticket = ticket;
    this.slot = slot;
  }
}

/** A read that runs, and since when it was sent, in ms. */
export interface RunningRead {
  readonly sql: string;
  readonly since: number;
}

/** Whether a result of a read is SQLite's word that it was a write after all. */
export function isReadonlyRefusal(result: unknown): result is Failed {
  return result instanceof Failed && result.failure.code?.startsWith('SQLITE_READONLY') === true;
}
