import { MessageChannel, type MessagePort, type Worker } from 'node:worker_threads';
import type { ConnectionOptions } from './connection.js';
import { startProgram } from './home.js';
import { Line, type LineOwner, type Wait } from './line.js';
import { Direction, newMailbox, Receiver, Sender } from './mailbox.js';
import {
  type Answer,
  type Command,
  Control,
  type GateData,
  type Role,
  type ThreadData,
} from './protocol.js';
import { Stops } from './stops.js';
import { Patience } from './waiter.js';

/** How often, in ms, a thread that keeps the process alive looks whether it still must. */
const IDLE_LOOK = 15;

/** What a thread's owner does with what the thread says. */
export type ThreadOwner = LineOwner;

/** How long, in ms, the event loop of the calling thread turns without sleeping for an answer. */
const LONGEST_POLL = { statement: 0.15, commit: 0.4 };

/** One thread of the pool, seen from the calling thread. */
export class Thread extends Line {
  readonly control = new Int32Array(new SharedArrayBuffer(Control.words * 4));
  /** Stops what it runs. */
  override readonly stops: Stops;
  readonly #worker: Worker;
  readonly #port: MessagePort;
  readonly #sender: Sender;
  readonly #receiver: Receiver<Answer>;
  readonly #polls = {
    statement: new Patience(LONGEST_POLL.statement),
    commit: new Patience(LONGEST_POLL.commit),
  };
  /** Who is to learn when the answer of the last post comes, and since when it is waited for. */
  #learner: Patience | undefined;
  #since = 0;
  /** While the event loop turns for an answer: for which, until when, and what was answered before. */
  #polling: { patience: Patience; until: number; answered: number } | undefined;
  #referenced = false;
  readonly #turn = () => this.#poll();

  constructor(
    role: Role,
    connection: ConnectionOptions,
    claims: Int32Array,
    place: number,
    owner: ThreadOwner,
    gate?: GateData,
  ) {
    super(place, owner);
    this.stops = new Stops(this.control, connection.driver);
    const { port1, port2 } = new MessageChannel();
    this.#port = port1;
    const { control } = this;
    const mailboxes = { commands: newMailbox(), answers: newMailbox() };
    this.#sender = new Sender(port1, control, Direction.commands, mailboxes.commands);
    this.#receiver = new Receiver(port1, control, Direction.answers, mailboxes.answers);
    const data = {
      role,
      port: port2,
      control,
      mailboxes,
      claims,
      mark: -1 - place,
      connection,
      gate,
    } satisfies ThreadData;
    const ports = gate === undefined ? [port2] : [port2, gate.questions.port];
    this.#worker = startProgram(role, data, ports);
    this.#worker.unref();
    this.#worker.on('error', (error) => {
      this.error = error;
    });
    this.#worker.on('exit', (code) => {
      this.error ??= new Error(`the thread exited with code ${code}`);
      this.#end(this.error);
    });
    port1.on('message', (answers: Answer[]) => {
      this.#receiver.arrived(answers);
      this.#take();
    });
    // A dying thread takes its port along, which alone kept the process alive for its callers.
    port1.on('close', () => {
      if (this.isAlive) this.#worker.ref();
    });
    port1.unref();
  }

  /**
   * @param expected what the answer takes as long as. Where that is little, the event loop turns
   * without sleeping until the answer is there, as long as that has paid of late: to wake it takes
   * as long as a statement or a short commit. Whatever else comes is served meanwhile.
   */
  post(commands: Command[], expected?: Wait): void {
    if (!this.#referenced) this.reference();
    this.introduced(commands);
    const answered = Atomics.load(this.control, Control.answered);
    this.#sender.send(commands);
    Atomics.add(this.control, Control.wake, 1);
    // Whoever goes to sleep says so first, and sleeps only where the word is what it has seen.
    if (Atomics.load(this.control, Control.sleeping) === 1) {
      Atomics.notify(this.control, Control.wake);
    }
    this.#learner = undefined;
    if (expected === undefined) return;
    const patience = this.#polls[expected];
    this.#learner = patience;
    this.#since = performance.now();
    if (!patience.isLeft) return;
    const until = this.#since + LONGEST_POLL[expected];
    if (this.#polling === undefined) {
      this.#polling = { patience, until, answered };
      this.#receiver.wake();
      setImmediate(this.#turn);
    } else {
      this.#polling.patience = patience;
      this.#polling.until = until;
    }
  }

  #poll(): void {
    const polling = this.#polling;
    if (polling === undefined || !this.isAlive) return;
    if (Atomics.load(this.control, Control.answered) === polling.answered) {
      if (performance.now() < polling.until) {
        setImmediate(this.#turn);
        return;
      }
      polling.patience.waitedInVain();
    }
    this.#polling = undefined;
    this.#receiver.rest();
    this.#take();
  }

  /** Takes the answers that are there. */
  #take(): void {
    let answers = this.#receiver.next();
    for (; answers !== undefined; answers = this.#receiver.next()) {
      // An empty message says that there was something in the mailbox.
      if (answers.length > 0) this.#receive(answers);
    }
  }

  /** Keeps the process alive until nobody waits for this thread any more. */
  reference(): void {
    if (this.#referenced || !this.isAlive) return;
    this.#referenced = true;
    this.#port.ref();
    const timer = setInterval(() => {
      if (this.isAlive && (this.calls > 0 || this.owner.busy())) return;
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
    this.error ??= cause;
    this.isAlive = false;
    this.#port.close();
    this.stops.close();
    this.#loseAll(this.error);
    await this.#worker.terminate();
  }

  #receive(answers: Answer[]): void {
    if (this.#learner !== undefined) {
      this.#learner.came(performance.now() - this.#since);
      this.#learner = undefined;
    }
    this.deliver(answers);
  }

  #end(cause: unknown): void {
    if (!this.isAlive) return;
    this.isAlive = false;
    // The last answers may still wait here: what they tell must not be called lost.
    this.#take();
    this.#port.close();
    this.stops.close();
    this.owner.lost(cause, this.#loseAll(cause));
  }

  /** Tells everyone who waits for a reply that none will come; returns whether a commit ran. */
  #loseAll(cause: unknown): boolean {
    const committing = Atomics.load(this.control, Control.committing) === 1;
    this.loseCalls(cause, committing);
    return committing;
  }
}
