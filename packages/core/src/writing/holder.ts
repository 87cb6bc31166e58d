import { PoolError } from '../errors.js';
import type { Statement } from '../statements/catalogue.js';
import type { BeginBehavior } from '../statements/classify.js';
import type { BoundParams } from '../statements/params.js';
import { lostError } from '../threads/failure.js';
import type { CheckpointOutcome, Method } from '../threads/protocol.js';
import { RemoteConnection, type RemoteCursor, type StopHandle } from '../threads/remote.js';
import type { FirstResult } from './ahead.js';
import type { Turn } from './turn.js';
import type { Writer } from './writer.js';

const givenBack = () => new PoolError('POOL_MISUSE', 'the writer was given back');
const hasEnded = () =>
  new PoolError('POOL_MISUSE', 'the transaction has ended: await what it does');

/** The writer's connection in the hands of a transaction or lease, for one turn. */
export class WriterHolder {
  /** Whether a transaction is open, or will be with the next statement. */
  inTransaction = false;
  /** Whether a BEGIN was sent whose end was not. The thread refuses everything behind one that
   * failed, or that SQLite undid, until it hears of the end. */
  unended = false;
  readonly #writer: Writer;
  readonly #turn: Turn;
  readonly #remote: RemoteConnection;
  /** A BEGIN that travels with the next statement. */
  #begin: { behavior: BeginBehavior; readonly: boolean } | undefined;
  #first: FirstResult | undefined;
  /** Calls that are not answered. */
  #underWay = 0;
  /** Why it can be used no more: made into an error only where somebody asks, since every
   * transaction ends. */
  #ended: (() => Error) | undefined;

  /** @param first what its first call came to, where that has run before its turn. */
  constructor(writer: Writer, turn: Turn, driver: string, first?: FirstResult) {
    this.#writer = writer;
    this.#turn = turn;
    this.#first = first;
    this.#remote = new RemoteConnection({
      thread: writer.thread,
      driver,
      session: 0,
      send: (command) => {
        if ('task' in command) this.#underWay++;
        writer.send(command);
      },
      state: (inTransaction) => {
        this.#underWay--;
        if (this.#ended === undefined && this.#begin === undefined) {
          this.inTransaction = inTransaction;
        }
      },
      // Outside a transaction each statement commits by itself, and a script may have done so.
      lost: (cause, committing) => lostError(cause, committing && !this.inTransaction),
    });
  }

  /** Whether a transaction may be open, as far as answers and calls under way tell. */
  get mayBeOpen(): boolean {
    return this.inTransaction || this.#underWay > 0;
  }

  begin(behavior: BeginBehavior, readonly = false): void {
    if (this.#first === undefined) this.#begin = { behavior, readonly };
    else this.unended = true;
    this.inTransaction = true;
  }

  /** Takes the writer away: what comes hereafter is refused with this error. */
  end(error: Error): void {
    this.#end(() => error);
    this.stop(error);
  }

  /** Stops the one call of a turn whose caller has left: what that comes to. */
  giveUp(): 'nothing' | 'unknown' | 'soon' {
    if (!this.#remote.giveUp()) return 'nothing';
    return this.#writer.thread.stops.canInterrupt ? 'soon' : 'unknown';
  }

  /** Stops what runs, and what was sent and has not begun. */
  stop(error: Error): void {
    this.#remote.stop(error);
  }

  execute(
    statement: Statement,
    method: Method,
    params: BoundParams,
    handle?: StopHandle,
  ): Promise<unknown> {
    if (this.#ended !== undefined) return Promise.reject(this.#ended());
    if (this.#first !== undefined) return this.#takeFirst(params);
    // What may be interrupted must not share its commit with what ended before.
    this.#beginFor(statement.classification.mayRollback || handle !== undefined);
    return this.#remote.execute(statement, method, params, handle);
  }

  #takeFirst(params: BoundParams): Promise<unknown> {
    const { call, reply } = this.#first as FirstResult;
    this.#first = undefined;
    this.#underWay++;
    if (params !== call.params) return Promise.reject(new Error('another call ran ahead'));
    return Promise.resolve(this.#remote.result(reply));
  }

  exec(script: string, alone = false, handle?: StopHandle): Promise<unknown> {
    if (this.#ended !== undefined) return Promise.reject(this.#ended());
    this.#beginFor(true);
    return this.#remote.exec(script, alone, handle);
  }

  cursor(statement: Statement, method: Method, params: BoundParams, rows: number): RemoteCursor {
    const ended = this.#ended;
    if (ended !== undefined) return { fetch: () => Promise.reject(ended()), close: () => {} };
    this.#beginFor(statement.classification.mayRollback);
    return this.#remote.cursor(statement, method, params, rows);
  }

  checkpoint(mode: string, patience: number): Promise<CheckpointOutcome> {
    const command = { type: 'checkpoint', mode, patience, least: 0 } as const;
    return this.#remote.call((task) => ({ ...command, task })) as Promise<CheckpointOutcome>;
  }

  /** Resolves when what the transaction did is committed; with `leave` the turn is over at once. */
  commit(leave: boolean): Promise<void> {
    return this.#finish('commit', leave);
  }

  rollback(leave: boolean): Promise<void> {
    return this.#finish('rollback', leave);
  }

  leave(): void {
    this.#end(givenBack);
    this.#writer.leave(this.#turn);
  }

  #end(reason: () => Error): void {
    this.#ended ??= reason;
    this.inTransaction = false;
    this.#begin = undefined;
  }

  #beginFor(alone: boolean): void {
    const begin = this.#begin;
    if (begin === undefined) return;
    this.#begin = undefined;
    this.unended = true;
    this.#writer.begin(this.#turn, { type: 'begin', ...begin }, alone || begin.readonly);
  }

  #finish(how: 'commit' | 'rollback', leave: boolean): Promise<void> {
    if (this.#ended !== undefined) return Promise.reject(this.#ended());
    this.inTransaction = false;
    if (leave) {
      // What comes hereafter, from a savepoint that was not awaited, must not meet another's turn.
      this.#ended = hasEnded;
    }
    if (this.#begin !== undefined) {
      // Nothing ran in it: there is nothing to end.
      this.#begin = undefined;
      if (leave) this.#writer.leave(this.#turn);
      return Promise.resolve();
    }
    this.unended = false;
    const writer = this.#writer;
    return new Promise((resolve, reject) => {
      const task = writer.thread.expect({
        reply: (reply) => {
          const { tasks = [], failure } = reply.type === 'done' ? reply : {};
          if (tasks.at(-1) === task) writer.sharedCommit.answered(performance.now());
          if (failure !== undefined) return resolve(this.#remote.failed(failure));
          if (tasks.length > 1 && tasks.at(-1) !== task) writer.counts.sharedCommits++;
          resolve();
        },
        lost: (cause, committing) => reject(lostError(cause, how === 'commit' && committing)),
      });
      writer.end(this.#turn, task, how, leave);
    });
  }
}
