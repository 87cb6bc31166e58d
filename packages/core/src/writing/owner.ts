import type { PoolError } from '../errors.js';
import type { Line, LineOwner } from '../threads/line.js';
import type { Failure, OpenedInfo } from '../threads/protocol.js';
import type { Turn } from './turn.js';

/**
 * Finds who runs the writer's commands. Where that takes time, what it returns does nothing, and
 * `arrived` is called with who does.
 */
export type StartLine = (owner: LineOwner, arrived: (line: Line) => void) => Line;

/** What the writer tells of itself. */
export interface WriterOwner {
  opened(info: OpenedInfo): void;
  failed(failure: Failure): void;
  /** The thread died and has been replaced; or the process that wrote for this one, and its place
   * will be taken. */
  lost(cause: unknown, wasRemote: boolean): void;
  busyRetries(count: number): void;
  /** Something was committed: see `Changes`. */
  changed(text: string): void;
  /** A group was committed: so many units, so many microseconds on the thread. */
  committed(units: number, microseconds: number, waited: number): void;
  /** Everything that reads may wait for has been answered, or waits behind a turn. */
  writesSettled(): void;
  /** After each post's answers, and each turn: whoever closes looks whether all have ended. */
  ended(): void;
  /** Somebody has waited for the writer longer than acquireTimeout. */
  timeoutError(holder: Turn | undefined, waited: number): PoolError;
}

export interface TurnCounts {
  sharedCommits: number;
  transactions: number;
}

/** What the writer needs to know of the pool's options. */
export interface WriterOptions {
  readonly acquireTimeout: number;
  readonly shareCommits: boolean;
  readonly exactlyOnce: boolean;
  /** There where a commit must reach a store. */
  readonly store: unknown;
}
