import type { Statement } from '../statements/catalogue.js';
import type { Line } from '../threads/line.js';
import type { Command, Words } from '../threads/protocol.js';
import type { Shape } from '../threads/result.js';
import type { GivenUnit } from './checks.js';

/** Takes what becomes of a unit. */
export interface UnitEnd {
  /** The number that a list of column names has at the guest's. */
  rename(shape: Shape): number;
  words(words: Words): void;
  error(error: Error): void;
}

/** Hears of a turn. */
export interface TurnEnd {
  granted(): void;
  /** It was taken away, or will never come. */
  taken(error: Error): void;
}

/** What one guest is given of the writer: a place in its groups, and one turn at a time. */
export interface Desk {
  /** The thread that writes now. */
  readonly line: Line;
  statement(sql: string): Statement;
  /** What it returns stops the unit, wherever it is. */
  submit(unit: GivenUnit, end: UnitEnd): () => void;
  /** Asks for a turn that may last `limit` ms; 0: for ever. */
  ask(kind: string, limit: number, end: TurnEnd): void;
  /** The turn, or the wait for it, is over: what was done in it is rolled back. */
  giveUp(): void;
  /** The turn is over: whatever it sent is on its way, and no transaction is open. */
  leave(): void;
  begin(command: Command & { type: 'begin' }, alone: boolean): void;
  send(command: Command): void;
  /** Ends the transaction, and with `leave` the turn. */
  end(task: number, how: 'commit' | 'rollback', leave: boolean): void;
  /** Who hears how far a bulk of this turn came. */
  progress(
    listener: ((progress: { ran: number; changes: number; failed: boolean }) => void) | undefined,
  ): void;
  /** Has it told of each commit, with so many rowids of each table; `ready` once it is. */
  listen(rowids: number, changed: (text: string) => void, ready: () => void): () => void;
  /** The guest has gone. */
  part(): void;
}
