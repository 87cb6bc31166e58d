import type { Statement } from '../statements/catalogue.js';
import type { BoundParams } from '../statements/params.js';
import { BATCH, type Method, pushStatement, type Words } from '../threads/protocol.js';

/** One statement of a batch. */
export interface UnitStatement {
  readonly statement: Statement;
  readonly method: Method;
  readonly params: BoundParams;
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
  /** Its place among all writes: the writer's own to set. */
  number = 0;

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

  push(words: Words): void {
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
