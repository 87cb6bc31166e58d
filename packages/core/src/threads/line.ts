import type { Statement } from '../statements/catalogue.js';
import type { BoundParams } from '../statements/params.js';
import {
  type Answer,
  type Command,
  type Failure,
  type Method,
  type OpenedInfo,
  pushStatement,
  taskWord,
  type Words,
} from './protocol.js';
import { ResultDecoder } from './result.js';
import type { Stops } from './stops.js';

/** Answers to calls that are known by a number of their own. */
export type Reply = Extract<Answer, { type: 'held' | 'chunk' | 'done' | 'checkpoint' }>;

/** Answers that are not replies to one call. */
export type Told = Extract<Answer, { type: 'reads' | 'group' | 'progress' | 'busy' | 'changed' }>;

/** What the owner of a line does with what comes over it. */
export interface LineOwner {
  opened(info: OpenedInfo): void;
  failed(failure: Failure): void;
  answer(answer: Told): void;
  /** After each post's answers were handled. */
  handled(): void;
  /** Whoever was at the other end is gone; `committing` where a commit was under way. */
  lost(cause: unknown, committing: boolean): void;
  /** Whether somebody waits for the line: it then keeps the process alive. */
  busy(): boolean;
  /** Another process granted the turn that it was asked for. */
  granted?(turn: number): void;
  /** It has taken a turn back: this is what its holder hears. */
  taken?(error: Error): void;
  /** It will end, and wants nothing new; see `Line.rest`. */
  closing?(): void;
}

export interface Call {
  reply(reply: Reply): void;
  lost(cause: unknown, committing: boolean): void;
}

/** What the answer to a post takes as long as: see `Thread.post`. */
export type Wait = 'statement' | 'commit';

/**
 * So many of those whose commit was shared wake at once: what they do next is then under way while
 * the others wake.
 */
const AT_ONCE = 20;

/**
 * A way to whoever runs commands: a thread of this process, or the process that writes for all.
 * Here is what they have in common: which statements the other end knows, and who waits for what.
 */
export abstract class Line {
  /** Its place among the pool's lines: the writer's is 0. */
  readonly place: number;
  readonly decoder = new ResultDecoder();
  /** Stops what the other end runs. */
  abstract readonly stops: Stops;
  protected readonly owner: LineOwner;
  /** Why it ended. */
  protected error: unknown;
  protected isAlive = true;
  /**
   * Whether another process is at the other end: it has turns and groups of others too, so turns
   * must be asked for, and when it is lost nobody knows what became of what it was sent.
   */
  readonly isRemote: boolean = false;
  readonly #calls = new Map<number, Call>();
  #nextCall = 1;
  #newIds: number[] = [];
  #newTexts: string[] = [];
  #oldIds: number[] = [];
  /** Calls that are answered, whose callers wake in turns. */
  readonly #toWake: { call: Call; reply: Reply }[] = [];
  readonly #wake = () => {
    for (const { call, reply } of this.#toWake.splice(0, AT_ONCE)) call.reply(reply);
    if (this.#toWake.length > 0) setImmediate(this.#wake);
  };

  constructor(place: number, owner: LineOwner) {
    this.place = place;
    this.owner = owner;
  }

  /** Sends commands; the list is the line's own from then on. */
  abstract post(commands: Command[], expected?: Wait): void;
  /** Keeps the process alive until nobody waits for this line any more. */
  abstract reference(): void;
  /** Ends a wait for a lock at once. */
  abstract hurry(): void;
  /** Another process will end: nothing of this one's is under way there any more. */
  rest(): void {}
  /** Ends what is at the other end, as far as it is this process's; nothing more is answered. */
  abstract terminate(cause?: Error): Promise<void>;

  get alive(): boolean {
    return this.isAlive;
  }

  /** Sees to it that the other end knows a statement by the time that the next post arrives. */
  introduce(statement: Statement): void {
    // Another line may have its place already, which would be taken for one that knows the statement.
    if (!this.isAlive) return;
    const bit = 1 << this.place;
    if ((statement.known & bit) !== 0 && !statement.forgotten) return;
    statement.known |= bit;
    this.#newIds.push(statement.id);
    this.#newTexts.push(statement.sql);
  }

  /** A call as the next post may hold it: the other end knows its statement by then. */
  wordsOf(statement: Statement, method: Method, params: BoundParams): Words {
    this.introduce(statement);
    const words: Words = [];
    pushStatement(words, statement.id, method, params);
    return words;
  }

  /** Lets the other end forget a statement with the next post. */
  forget(statement: Statement): void {
    if ((statement.known & (1 << this.place)) !== 0) this.#oldIds.push(statement.id);
  }

  /** Registers who is told of the reply with the number that it returns. */
  expect(call: Call): number {
    const number = this.#nextCall++;
    if (this.isAlive) this.#calls.set(number, call);
    // Whoever holds a connection of a dead thread hears of it when they use it next.
    else queueMicrotask(() => call.lost(this.error, false));
    return number;
  }

  /** A number that no call has, for work that is not answered with a reply. */
  number(): number {
    return this.#nextCall++;
  }

  /**
   * Gives up a call, and interrupts it where it runs; false where it has not begun, and will not.
   * Calls that are 1024 apart share a word: nobody has so many under way that are given up.
   */
  stop(task: number): boolean {
    if (!this.#calls.has(task)) return true;
    return this.stopWork(task);
  }

  /** The same for work that has a number of its own. */
  stopWork(task: number): boolean {
    if (!this.stops.giveUp(taskWord(task), task)) return false;
    this.stops.interrupt(-task);
    return true;
  }

  get calls(): number {
    return this.#calls.size;
  }

  /** Tells everyone who waits for a reply that they wait no more, whatever the other end still does. */
  abandon(cause: Error): void {
    this.loseCalls(cause, true);
  }

  /** Puts ahead of commands what the other end must know to run them. */
  protected introduced(commands: Command[]): void {
    if (this.#newIds.length > 0) {
      commands.unshift({ type: 'define', ids: this.#newIds, texts: this.#newTexts });
      this.#newIds = [];
      this.#newTexts = [];
    }
    if (this.#oldIds.length > 0) {
      commands.unshift({ type: 'forget', ids: this.#oldIds });
      this.#oldIds = [];
    }
  }

  protected deliver(answers: readonly Answer[]): void {
    const { decoder } = this;
    for (const answer of answers) {
      switch (answer.type) {
        case 'shape':
          decoder.defineShape(answer.id, answer.keys, answer.since);
          break;
        case 'opened':
          this.stops.reason = answer.info.noHooks;
          this.owner.opened(answer.info);
          break;
        case 'failed':
          this.owner.failed(answer.failure);
          break;
        case 'reads':
        case 'group':
        case 'progress':
        case 'busy':
        case 'changed':
          this.owner.answer(answer);
          break;
        case 'held':
        case 'chunk':
        case 'checkpoint':
          this.#reply(answer.task, answer);
          break;
        case 'done':
          this.#done(answer);
          break;
        default:
          answer satisfies never;
      }
    }
    this.owner.handled();
  }

  #reply(task: number, reply: Reply): void {
    this.#answered(task)?.reply(reply);
  }

  #answered(task: number): Call | undefined {
    const call = this.#calls.get(task);
    this.#calls.delete(task);
    this.stops.forget(taskWord(task), task);
    return call;
  }

  /** The last of the tasks is the one that had the others' commit done with its own. */
  #done(reply: Reply & { type: 'done' }): void {
    const { tasks } = reply;
    if (tasks.length <= AT_ONCE) {
      for (const task of tasks) this.#reply(task, reply);
      return;
    }
    this.#reply(tasks.at(-1) as number, reply);
    for (let i = 0; i < tasks.length - 1; i++) {
      const call = this.#answered(tasks[i] as number);
      if (call !== undefined) this.#toWake.push({ call, reply });
    }
    this.#wake();
  }

  protected loseCalls(cause: unknown, committing: boolean): void {
    for (const { call, reply } of this.#toWake.splice(0)) call.reply(reply);
    const calls = [...this.#calls.values()];
    this.#calls.clear();
    for (const call of calls) call.lost(cause, committing);
  }
}
