import {
  MessageChannel,
  type MessagePort,
  receiveMessageOnPort,
  Worker,
} from 'node:worker_threads';
import type { Statement } from '../statements/catalogue.js';
import type { ConnectionOptions } from './connection.js';
import { threadFile } from './home.js';
import {
  type Answer,
  type Command,
  Control,
  type Failure,
  type OpenedInfo,
  type Role,
  type ThreadData,
} from './protocol.js';
import { ResultDecoder } from './result.js';
import { Patience } from './waiter.js';

/** How often, in ms, a thread that keeps the process alive looks whether it still must. */
const IDLE_LOOK = 15;

/** Answers to calls that are known by a number of their own. */
export type Reply = Extract<Answer, { type: 'held' | 'chunk' | 'done' | 'checkpoint' }>;

/** What a thread's owner does with what the thread says. */
export interface ThreadOwner {
  opened(info: OpenedInfo): void;
  failed(failure: Failure): void;
  /** Answers that are not replies to one call. */
  answer(answer: Extract<Answer, { type: 'reads' | 'group' | 'progress' | 'busy' }>): void;
  /** After each post's answers were handled. */
  handled(): void;
  /** The thread is gone; `committing` where a commit was under way. */
  lost(cause: unknown, committing: boolean): void;
  /** Whether somebody waits for this thread: it then keeps the process alive. */
  busy(): boolean;
}

interface Call {
  reply(reply: Reply): void;
  lost(cause: unknown, committing: boolean): void;
}

/** `node --input-type=module -e …`: a thread's file cannot be started with this flag, and others
 * cannot be handed on without it, since Node.js refuses a list that names a flag of the process. */
export function isCommandLineScript(): boolean {
  return process.execArgv.some((flag) => flag.startsWith('--input-type'));
}

/** How long, in ms, the event loop of the calling thread turns without sleeping for an answer. */
const LONGEST_POLL = { statement: 0.15, commit: 0.4 };

/** One thread of the pool, seen from the calling thread. */
export class Thread {
  /** Its place among the pool's threads: the writer's is 0. */
  readonly place: number;
  readonly decoder = new ResultDecoder();
  readonly control = new Int32Array(new SharedArrayBuffer(Control.words * 4));
  readonly #worker: Worker;
  readonly #port: MessagePort;
  readonly #owner: ThreadOwner;
  readonly #calls = new Map<number, Call>();
  readonly #polls = {
    statement: new Patience(LONGEST_POLL.statement),
    commit: new Patience(LONGEST_POLL.commit),
  };
  /** Who is to learn when the answer of the last post comes, and since when it is waited for. */
  #learner: Patience | undefined;
  #since = 0;
  #nextCall = 1;
  #newIds: number[] = [];
  #newTexts: string[] = [];
  #oldIds: number[] = [];
  #alive = true;
  #referenced = false;
  #error: unknown;

  constructor(
    role: Role,
    connection: ConnectionOptions,
    claims: Int32Array,
    place: number,
    owner: ThreadOwner,
  ) {
    this.place = place;
    this.#owner = owner;
    const { port1, port2 } = new MessageChannel();
    this.#port = port1;
    const { control } = this;
    const data = {
      role,
      port: port2,
      control,
      claims,
      mark: -1 - place,
      connection,
    } satisfies ThreadData;
    this.#worker = new Worker(new URL(threadFile()), {
      workerData: data,
      transferList: [port2],
      name: `poolite ${role}`,
      // The flags of the process (loaders, watchers) only slow a thread down, save where the
      // user's own `setup` module may need them.
      ...(connection.setup === undefined || isCommandLineScript() ? { execArgv: [] } : {}),
    });
    this.#worker.unref();
    this.#worker.on('error', (error) => {
      this.#error = error;
    });
    this.#worker.on('exit', (code) => {
      this.#error ??= new Error(`the thread exited with code ${code}`);
      this.#end(this.#error);
    });
    port1.on('message', (answers: Answer[]) => this.#receive(answers));
    // A dying thread takes its port along, which alone kept the process alive for its callers.
    port1.on('close', () => {
      if (this.#alive) this.#worker.ref();
    });
    port1.unref();
  }

  get alive(): boolean {
    return this.#alive;
  }

  /** Sees to it that the thread knows a statement by the time that the next post arrives. */
  introduce(statement: Statement): void {
    const bit = 1 << this.place;
    if ((statement.known & bit) !== 0 && !statement.forgotten) return;
    statement.known |= bit;
    this.#newIds.push(statement.id);
    this.#newTexts.push(statement.sql);
  }

  /** Lets the thread forget a statement with the next post. */
  forget(statement: Statement): void {
    if ((statement.known & (1 << this.place)) !== 0) this.#oldIds.push(statement.id);
  }

  /**
   * @param expected what the answer takes as long as. Where that is little, the event loop turns
   * without sleeping until the answer is there, as long as that has paid of late: to wake it takes
   * as long as a statement or a short commit. Whatever else comes is served meanwhile.
   */
  post(commands: Command[], expected?: 'statement' | 'commit'): void {
    if (!this.#referenced) this.reference();
    if (this.#newIds.length > 0) {
      commands.unshift({ type: 'define', ids: this.#newIds, texts: this.#newTexts });
      this.#newIds = [];
      this.#newTexts = [];
    }
    if (this.#oldIds.length > 0) {
      commands.unshift({ type: 'forget', ids: this.#oldIds });
      this.#oldIds = [];
    }
    const seen = Atomics.load(this.control, Control.answered);
    this.#port.postMessage(commands);
    Atomics.add(this.control, Control.wake, 1);
    Atomics.notify(this.control, Control.wake);
    this.#learner = undefined;
    if (expected === undefined) return;
    this.#learner = this.#polls[expected];
    this.#since = performance.now();
    if (this.#learner.isLeft) this.#poll(seen, this.#learner, this.#since + LONGEST_POLL[expected]);
  }

  #poll(seen: number, patience: Patience, until: number): void {
    setImmediate(() => {
      if (!this.#alive) return;
      if (Atomics.load(this.control, Control.answered) !== seen) this.#take();
      else if (performance.now() < until) this.#poll(seen, patience, until);
      else patience.waitedInVain();
    });
  }

  /** Takes answers that are there, before the event loop comes to them. */
  #take(): void {
    const received = receiveMessageOnPort(this.#port) as { message: Answer[] } | undefined;
    if (received !== undefined) this.#receive(received.message);
  }

  /** Registers who is told of the reply with the number that it returns. */
  expect(call: Call): number {
    const number = this.#nextCall++;
    if (this.#alive) this.#calls.set(number, call);
    // Whoever holds a connection of a dead thread hears of it when they use it next.
    else queueMicrotask(() => call.lost(this.#error, false));
    return number;
  }

  get calls(): number {
    return this.#calls.size;
  }

  /** Keeps the process alive until nobody waits for this thread any more. */
  reference(): void {
    if (this.#referenced || !this.#alive) return;
    this.#referenced = true;
    this.#port.ref();
    const timer = setInterval(() => {
      if (this.#alive && (this.#calls.size > 0 || this.#owner.busy())) return;
      clearInterval(timer);
      this.#referenced = false;
      this.#port.unref();
    }, IDLE_LOOK);
    timer.unref();
  }

  /** Ends a wait for a lock at once. */
  hurry(): void {
    Atomics.store(this.control, Control.hurry, 1);
    Atomics.notify(this.control, Control.hurry);
  }

  /** Ends the thread when its statement does; nothing that it still holds is answered. */
  async terminate(cause: Error = new Error('the thread was ended')): Promise<void> {
    this.#error ??= cause;
    this.#alive = false;
    this.#port.close();
    this.#loseCalls(this.#error);
    await this.#worker.terminate();
  }

  /** Tells everyone who waits for a reply that they wait no more, whatever the thread still does. */
  abandon(cause: Error): void {
    this.#lose(cause, true);
  }

  #receive(answers: Answer[]): void {
    const { decoder } = this;
    if (this.#learner !== undefined) {
      this.#learner.came(performance.now() - this.#since);
      this.#learner = undefined;
    }
    for (const answer of answers) {
      switch (answer.type) {
        case 'shape':
          decoder.defineShape(answer.id, answer.keys, answer.since);
          break;
        case 'opened':
          this.#owner.opened(answer.info);
          break;
        case 'failed':
          this.#owner.failed(answer.failure);
          break;
        case 'reads':
        case 'group':
        case 'progress':
        case 'busy':
          this.#owner.answer(answer);
          break;
        case 'held':
        case 'chunk':
        case 'checkpoint':
          this.#reply(answer.task, answer);
          break;
        case 'done':
          for (const task of answer.tasks) this.#reply(task, answer);
          break;
        default:
          answer satisfies never;
      }
    }
    this.#owner.handled();
  }

  #reply(task: number, reply: Reply): void {
    const call = this.#calls.get(task);
    this.#calls.delete(task);
    call?.reply(reply);
  }

  #end(cause: unknown): void {
    if (!this.#alive) return;
    this.#alive = false;
    // The last answers may still wait here: what they tell must not be called lost.
    let last = receiveMessageOnPort(this.#port) as { message: Answer[] } | undefined;
    for (; last !== undefined; last = receiveMessageOnPort(this.#port)) this.#receive(last.message);
    this.#port.close();
    this.#owner.lost(cause, this.#loseCalls(cause));
  }

  /** Tells everyone who waits for a reply that none will come; returns whether a commit ran. */
  #loseCalls(cause: unknown): boolean {
    const committing = Atomics.load(this.control, Control.committing) === 1;
    this.#lose(cause, committing);
    return committing;
  }

  #lose(cause: unknown, committing: boolean): void {
    const calls = [...this.#calls.values()];
    this.#calls.clear();
    for (const call of calls) call.lost(cause, committing);
  }
}
