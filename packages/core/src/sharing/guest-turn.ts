import { PoolError } from '../errors.js';
import type { Statement } from '../statements/catalogue.js';
import { lostError } from '../threads/failure.js';
import type { Reply } from '../threads/line.js';
import { type Command, type Failure, taskWord, type Words } from '../threads/protocol.js';
import { newCursor } from '../threads/remote.js';
import type { Shape } from '../threads/result.js';
import { failureOf } from '../threads/rows.js';
import { checkRows, type Fields, GivenWords, must, oneOf, text, whole } from './checks.js';
import type { Desk } from './desk.js';
import { done, Nonsense, type Response } from './messages.js';

const LONGEST_MS = 2 ** 31 - 1;
const MOST_ROWS = 65_536;
const MODES = ['PASSIVE', 'FULL', 'RESTART', 'TRUNCATE'] as const;
const KINDS = ['transaction', 'lease', 'script', 'bulk', 'checkpoint'] as const;

export interface GuestTurnOwner {
  readonly desk: Desk;
  readonly statements: ReadonlyMap<number, Statement>;
  say(response: Response): void;
  rename(shape: Shape): number;
}

/** What a guest does with the writer to itself: one turn at a time. */
export class GuestTurn {
  readonly #owner: GuestTurnOwner;
  readonly #desk: Desk;
  readonly #cursors = new Map<number, number>();
  #turn: 'none' | 'asked' | 'held' = 'none';
  /** Why the last turn was taken away: what is still on its way here is answered with it. */
  #taken: Error = new PoolError('POOL_MISUSE', 'the process has no turn on the writer');
  #begun = false;
  #inTransaction = false;
  #bulk = false;
  /** The number of the bulk that is not answered, here and at the guest's; 0: there is none. */
  #bulkTask = 0;
  #theirBulk = 0;
  /** Calls that are not answered: their numbers here, by those at the guest's. */
  readonly #calls = new Map<number, number>();

  constructor(owner: GuestTurnOwner) {
    this.#owner = owner;
    this.#desk = owner.desk;
  }

  handle(type: string, message: Fields): void {
    switch (type) {
      case 'turn':
        return this.#ask(message);
      case 'withdraw':
      case 'leave':
        return this.#over(type === 'withdraw');
      default:
        return this.#inTurn(type, message);
    }
  }

  /** Its caller has left a call. */
  stop(task: number): void {
    const { line } = this.#desk;
    const mine = this.#calls.get(task);
    if (mine !== undefined) line.stop(mine);
    else if (task > 0 && task === this.#theirBulk) line.stopWork(this.#bulkTask);
  }

  /** The guest has gone. */
  end(): void {
    for (const task of this.#calls.keys()) this.stop(task);
    this.stop(this.#theirBulk);
    for (const cursor of this.#cursors.values()) {
      this.#desk.send({ type: 'drop', session: 0, cursor });
    }
    if (this.#turn !== 'none') this.#over(true);
  }

  #ask({ turn, kind, limit }: Fields): void {
    must(this.#turn === 'none', 'a second turn');
    const number = whole(turn, Number.MAX_SAFE_INTEGER, 'no number');
    oneOf(kind, KINDS, 'no kind');
    this.#turn = 'asked';
    this.#begun = false;
    this.#inTransaction = false;
    this.#desk.ask(kind as string, whole(limit, LONGEST_MS, 'no limit'), {
      granted: () => {
        this.#turn = 'held';
        this.#owner.say({ type: 'granted', turn: number });
      },
      taken: (error) => {
        this.#turn = 'none';
        this.#taken = error;
        this.#ended();
        const { code, message } = errorFailure(error);
        this.#owner.say({ type: 'taken', code: code ?? 'POOL_THREAD_LOST', message });
      },
    });
  }

  #over(withdrawn: boolean): void {
    if (this.#turn === 'none') return;
    const isClean = !this.#begun && !this.#inTransaction && !this.#bulk && this.#calls.size === 0;
    const wasHeld = this.#turn === 'held';
    this.#turn = 'none';
    this.#ended();
    if (wasHeld && isClean && !withdrawn) this.#desk.leave();
    else this.#desk.giveUp();
  }

  #ended(): void {
    this.#begun = false;
    if (this.#bulk) this.#bulkOver();
    this.#bulk = false;
  }

  #bulkOver(): void {
    this.#desk.progress(undefined);
    this.#desk.line.stops.forget(taskWord(this.#bulkTask), this.#bulkTask);
    this.#theirBulk = 0;
  }

  #inTurn(type: string, message: Fields): void {
    const isHeld = this.#turn === 'held';
    const desk = this.#desk;
    switch (type) {
      case 'begin': {
        const behavior = oneOf(
          message.behavior,
          ['deferred', 'immediate', 'exclusive'],
          'no BEGIN',
        );
        if (!isHeld) return;
        must(!this.#begun, 'a transaction in a transaction');
        this.#begun = true;
        const readonly = message.readonly === true;
        return desk.begin({ type, behavior, readonly }, message.alone === true);
      }
      case 'end': {
        const how = oneOf(message.how, ['commit', 'rollback'], 'no end');
        const leave = message.share === true;
        const lost = (cause: unknown, committing: boolean) =>
          lostError(cause, how === 'commit' && committing);
        const task = this.#expect(message, lost);
        if (task === undefined) return;
        if (leave) {
          this.#turn = 'none';
          this.#ended();
        }
        this.#begun = false;
        return desk.end(task, how, leave);
      }
      case 'execute': {
        const words = this.#statement(message);
        const task = this.#expect(message);
        if (task !== undefined) desk.send({ type, task, session: 0, words });
        return;
      }
      case 'exec': {
        const script = text(message.script, 'no script');
        const task = this.#expect(message);
        if (task === undefined) return;
        return desk.send({ type, task, session: 0, script, alone: message.alone === true });
      }
      case 'cursor': {
        const words = this.#statement(message);
        const rows = whole(message.rows, MOST_ROWS, 'no rows');
        const task = this.#expect(message);
        if (task === undefined) return;
        const cursor = newCursor();
        this.#cursors.set(whole(message.cursor, Number.MAX_SAFE_INTEGER, 'no stream'), cursor);
        return desk.send({ type, task, session: 0, cursor, words, rows });
      }
      case 'fetch': {
        const cursor = this.#cursors.get(message.cursor as number);
        const rows = whole(message.rows, MOST_ROWS, 'no rows');
        must(cursor !== undefined, 'a stream that is not open');
        const task = this.#expect(message);
        if (task !== undefined) desk.send({ type, task, session: 0, cursor, rows });
        return;
      }
      case 'drop': {
        const cursor = this.#cursors.get(message.cursor as number);
        this.#cursors.delete(message.cursor as number);
        if (cursor !== undefined) desk.send({ type, session: 0, cursor });
        return;
      }
      case 'checkpoint': {
        const mode = oneOf(message.mode, MODES, 'no checkpoint');
        const least = whole(message.least, Number.MAX_SAFE_INTEGER, 'no pages');
        const patience = whole(message.patience, LONGEST_MS, 'no patience');
        const task = this.#expect(message);
        if (task !== undefined) desk.send({ type, task, mode, least, patience });
        return;
      }
      default:
        return this.#inBulk(type, message);
    }
  }

  #inBulk(type: string, message: Fields): void {
    const isHeld = this.#turn === 'held';
    const desk = this.#desk;
    switch (type) {
      case 'bulk': {
        const statement = this.#owner.statements.get(message.statement as number);
        must(statement?.isGroupable === true, 'no statement that writes');
        if (!isHeld) return;
        must(!this.#bulk, 'a second bulk');
        this.#bulk = true;
        desk.progress((progress) => this.#owner.say({ type: 'progress', ...progress }));
        desk.line.introduce(statement);
        this.#theirBulk = whole(message.task, Number.MAX_SAFE_INTEGER, 'no number');
        this.#bulkTask = desk.line.number();
        return desk.send({ type, task: this.#bulkTask, statement: statement.id });
      }
      case 'rows': {
        checkRows(message);
        if (isHeld && this.#bulk) return desk.send(message as unknown as Command);
        const ran = message.count as number;
        return this.#owner.say({ type: 'progress', ran, changes: 0, failed: true });
      }
      case 'bulk-end': {
        const commit = message.commit === true;
        const lost = (cause: unknown, committing: boolean) =>
          lostError(cause, commit && committing);
        const task = this.#expect(message, lost, () => this.#bulkOver());
        if (task === undefined) return;
        this.#bulk = false;
        return desk.send({ type, task, commit });
      }
      default:
        throw new Nonsense(`a command '${type.slice(0, 20)}'`);
    }
  }

  /** The words of one statement, in the numbers of this process. */
  #statement({ words }: Fields): Words {
    const given = new GivenWords(words, this.#owner.statements);
    const { statement } = given.statement();
    must(given.done, 'words too many');
    this.#desk.line.introduce(statement);
    return [statement.id, ...(words as Words).slice(1)];
  }

  /** The number of a call here; undefined where the turn is over, which is its answer then. */
  #expect(
    { task }: Fields,
    lost = (cause: unknown, committing: boolean) => lostError(cause, committing && !this.#begun),
    after: () => void = () => {},
  ): number | undefined {
    const theirs = whole(task, Number.MAX_SAFE_INTEGER, 'no number');
    const fail = (error: Error) => this.#owner.say(done(theirs, errorFailure(error)));
    if (this.#turn !== 'held') {
      fail(this.#taken);
      return undefined;
    }
    const mine = this.#desk.line.expect({
      reply: (reply) => {
        this.#calls.delete(theirs);
        after();
        this.#reply(theirs, reply);
      },
      lost: (cause, committing) => {
        this.#calls.delete(theirs);
        after();
        fail(lost(cause, committing));
      },
    });
    this.#calls.set(theirs, mine);
    return mine;
  }

  #reply(task: number, reply: Reply): void {
    if (reply.type === 'checkpoint') return this.#owner.say({ ...reply, task });
    this.#inTransaction = reply.inTransaction;
    if (reply.type === 'done') return this.#owner.say({ ...reply, tasks: [task] });
    const { decoder } = this.#desk.line;
    decoder.read(reply.words);
    const words = decoder.raw((shape) => this.#owner.rename(shape));
    this.#owner.say({ ...reply, task, words });
  }
}

export function errorFailure(error: Error): Failure {
  const failure = failureOf(error);
  const { index } = error as { index?: unknown };
  if (typeof index === 'number') failure.index = index;
  return failure;
}
