import type { Statement } from '../statements/catalogue.js';
import type { BoundParams } from '../statements/params.js';
import { lostError } from '../threads/failure.js';
import { BATCH, type Method, ONCE, pushStatement, type Words } from '../threads/protocol.js';
import { Failed, type ResultDecoder } from '../threads/result.js';
import { failureOf } from '../threads/rows.js';
import { interrupted } from '../threads/running.js';

/** What became of a unit that was given up before it ran, or was undone then. */
export const DROPPED = failureOf(interrupted());

/** One statement of a batch. */
export interface UnitStatement {
  readonly statement: Statement;
  readonly method: Method;
  readonly params: BoundParams;
}

/** A unit that the thread remembers in the file: see `Ledger`. */
export interface OnceMark {
  readonly client: string;
  readonly number: number;
  answered: number;
  /** Whether it may have been done already. */
  sent: boolean;
  /** Whether somebody was lost who may have done it. */
  again?: boolean;
}

/**
 * What shares a commit with others, whole: a one-shot write, or a batch. It is a class with few
 * fields because there is one for every write.
 */
export class Unit implements UnitStatement {
  readonly statement: Statement;
  readonly method: Method;
  readonly params: BoundParams;
  /** The statements of a batch, the first of which is this unit's own. */
  readonly batch: readonly UnitStatement[] | undefined;
  /** Takes the result, a `Failed`, or an error of the pool's own. */
  readonly settle: (result: unknown) => void;
  /** When it was issued, on the writer's coarse clock. */
  readonly since: number;
  /** Its place among all writes of this process: the writer's own to set. Others have none: 0. */
  number = 0;
  /** For one that must be done once: whose it is; undefined for any other. */
  once: OnceMark | undefined;
  /** Whether its caller has left it to be dropped: no thread has begun it. */
  dropped = false;

  constructor(
    { statement, method, params }: UnitStatement,
    batch: readonly UnitStatement[] | undefined,
    settle: (result: unknown) => void,
    since: number,
  ) {
    this.statement = statement;
    this.method = method;
    this.params = params;
    this.batch = batch;
    this.settle = settle;
    this.since = since;
  }

  /** Settles it with the result that comes next. */
  take(decoder: ResultDecoder): void {
    this.settle(decoder.next());
  }

  /** It was given up, and nothing runs it any more. */
  drop(): void {
    const mayBeDone = this.once?.again === true;
    this.settle(mayBeDone ? lostError(new Error('it was given up'), true) : new Failed(DROPPED));
  }

  /** About how many bytes its values have. */
  get bytes(): number {
    let bytes = 0;
    for (const { params } of this.batch ?? [this]) {
      for (const value of Object.values(params ?? {}) as unknown[]) {
        if (typeof value === 'string') bytes += value.length;
        else if (value instanceof Uint8Array) bytes += value.byteLength;
      }
    }
    return bytes;
  }

  /** What its caller hears of an error that keeps it from being sent, or sent again. */
  refuse(error: Error): void {
    const wasSent = this.once?.sent === true;
    this.settle(wasSent ? lostError(error, true) : error);
  }

  push(words: Words): void {
    if (this.once !== undefined) {
      const { client, number, answered } = this.once;
      words.push(ONCE, client, number, answered);
      this.once.sent = true;
    }
    if (this.batch === undefined) {
      pushStatement(words, this.statement.id, this.method, this.params);
      return;
    }
    words.push(BATCH, this.batch.length);
    for (const { statement, method, params } of this.batch) {
      pushStatement(words, statement.id, method, params);
    }
  }
}
