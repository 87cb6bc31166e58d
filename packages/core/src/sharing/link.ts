import { PoolError } from '../errors.js';
import { errorOf } from '../threads/failure.js';
import { FarStops } from '../threads/far-stops.js';
import { Line, type LineOwner } from '../threads/line.js';
import {
  type Answer,
  type Command,
  type Failure,
  Outcome,
  type Words,
} from '../threads/protocol.js';
import { isObject, must } from './checks.js';
import type { Met } from './connect.js';
import { frame, TooLong } from './frames.js';
import { done, type Request, type Response } from './messages.js';

/** How often, in ms, a link that keeps the process alive looks whether it still must. */
const IDLE_LOOK = 15;

/** Whoever is silent is called hung no sooner than after so many ms, and so many questions. */
const LEAST_PATIENCE = 2000;
const MOST_ASKED = 4;

export interface LinkSettings {
  readonly driver: string;
  /** How long the other process may be silent while this one waits for it, in ms; 0: for ever. */
  readonly patience: number;
  /** It goes on after it said that it would end. */
  resumed(): void;
}

/** The way to the process that writes, over its socket. */
export class Link extends Line {
  override readonly isRemote = true;
  readonly pid: number;
  override readonly stops: FarStops;
  readonly #met: Met;
  readonly #settings: LinkSettings;
  #referenced = false;
  #resting = false;
  /** When it was last heard of, and how often it was asked since. */
  #heard = 0;
  #asked = 0;
  /** When it was asked last. */
  #beaten = 0;
  #beat: NodeJS.Timeout | undefined;
  /** A chunk of this bulk could not be sent: it must not be committed. */
  #bulkFailure: Failure | undefined;

  constructor(met: Met, owner: LineOwner, settings: LinkSettings) {
    super(0, owner);
    this.#met = met;
    this.#settings = settings;
    this.pid = met.greeting.pid;
    const { noHooks } = met.greeting.info;
    this.stops = new FarStops(noHooks, (ticket) => this.#write([{ type: 'stop', ticket }]));
    const { socket } = met;
    socket.removeAllListeners('error');
    socket.removeAllListeners('close');
    socket.on('error', () => {}); // 'close' follows.
    socket.on('close', () => this.#end(lost(this.pid, 'it has ended')));
    socket.on('data', (chunk) => {
      this.#met.reader.add(chunk as Buffer);
      this.#read();
    });
    socket.resume();
    // Whatever came with the greeting.
    queueMicrotask(() => this.#read());
  }

  post(commands: Command[]): void {
    if (!this.#referenced) this.reference();
    this.introduced(commands);
    const last = commands.at(-1);
    if (last?.type === 'close') {
      commands.pop();
      this.#answerLater([done(last.task, undefined)]);
    }
    this.#resting = false;
    if (commands.length > 0) this.#send(commands);
    if (last?.type === 'close') this.#met.socket.end();
  }

  override rest(): void {
    if (this.#resting) return;
    this.#resting = true;
    this.#write([{ type: 'rest' }]);
  }

  reference(): void {
    if (this.#referenced || !this.isAlive) return;
    this.#referenced = true;
    this.#met.socket.ref();
    this.#heard = performance.now();
    const timer = setInterval(() => {
      if (this.isAlive && this.#isWaiting) return;
      clearInterval(timer);
      this.#referenced = false;
      this.#met.socket.unref();
      clearInterval(this.#beat);
      this.#beat = undefined;
    }, IDLE_LOOK);
    timer.unref();
    this.#watch();
  }

  hurry(): void {}

  async terminate(cause: Error = new Error('the pool was ended')): Promise<void> {
    this.error ??= cause;
    this.isAlive = false;
    this.#met.socket.destroy();
    this.loseCalls(this.error, true);
  }

  get #isWaiting(): boolean {
    return this.calls > 0 || this.owner.busy();
  }

  /** A process that hangs keeps its socket open: it is asked whether it is there. */
  #watch(): void {
    if (this.#settings.patience === 0 || this.#beat !== undefined) return;
    const patience = Math.max(this.#settings.patience, LEAST_PATIENCE);
    const every = Math.min(1000, patience / 8);
    this.#asked = 0;
    this.#beaten = performance.now();
    this.#beat = setInterval(() => {
      const now = performance.now();
      // This process itself was stopped, or busy: what has come meanwhile is not read yet.
      if (now - this.#beaten > 2 * every) this.#asked = 0;
      this.#beaten = now;
      const silent = now - this.#heard;
      if (silent >= patience && this.#asked >= MOST_ASKED) {
        this.#met.socket.destroy();
        this.#end(lost(this.pid, `it has not answered for ${Math.round(silent)} ms: it hangs`));
      } else {
        this.#asked++;
        this.#write([{ type: 'ping' }]);
      }
    }, every);
    this.#beat.unref();
  }

  #write(requests: readonly Request[]): void {
    if (this.isAlive) this.#met.socket.write(frame(requests));
  }

  #send(commands: readonly Command[]): void {
    try {
      this.#write(commands);
    } catch (error) {
      if (!(error instanceof TooLong)) throw error;
      for (const command of commands) this.#sendAlone(command);
    }
  }

  #sendAlone(command: Command): void {
    try {
      const bulkFailure = this.#bulkFailure;
      if (command.type === 'bulk-end' && bulkFailure !== undefined) {
        this.#bulkFailure = undefined;
        this.#write([{ type: 'leave', session: 0, clean: false }]);
        return this.#answerLater([done(command.task, bulkFailure)]);
      }
      this.#write([command]);
    } catch (error) {
      if (!(error instanceof TooLong)) throw error;
      this.#refuse(command, {
        ...{ name: 'PoolError', code: 'POOL_MISUSE' },
        message: `its values are too large to cross between processes (${error.message})`,
      });
    }
  }

  /** Answers for the other process, which will never see this. */
  #refuse(command: Command, failure: Failure): void {
    switch (command.type) {
      case 'group': {
        const ran = command.words[0] as number;
        const words: Words = [];
        for (let i = 0; i < ran; i++) words.push(Outcome.error, failure);
        return this.#answerLater([{ type: 'group', ran, microseconds: 0, words }]);
      }
      case 'rows':
        this.#bulkFailure = failure;
        return this.#answerLater([
          { type: 'progress', ran: command.count, changes: 0, failed: true },
        ]);
      default:
        if ('task' in command) this.#answerLater([done(command.task, failure)]);
    }
  }

  #answerLater(answers: Answer[]): void {
    queueMicrotask(() => {
      if (this.isAlive) this.deliver(answers);
    });
  }

  #read(): void {
    try {
      while (this.isAlive) {
        const next = this.#met.reader.next();
        if (next === undefined) return;
        this.#heard = performance.now();
        this.#asked = 0;
        must(Array.isArray(next.value) && next.value.every(isObject), 'no list of answers');
        this.#handle(next.value as Response[]);
      }
    } catch (error) {
      this.#met.socket.destroy();
      const why = error instanceof Error ? error.message : String(error);
      this.#end(lost(this.pid, `it answered what makes no sense (${why})`));
    }
  }

  #handle(responses: readonly Response[]): void {
    let answers: Answer[] = [];
    const settle = () => {
      const ready = answers;
      answers = [];
      if (ready.length > 0) this.deliver(ready);
    };
    for (const response of responses) {
      switch (response.type) {
        case 'pong':
          break;
        case 'granted':
          settle();
          this.owner.granted?.(response.turn);
          break;
        case 'taken': {
          const failure = { ...response, name: 'PoolError' };
          settle();
          this.owner.taken?.(errorOf(failure, this.#settings.driver));
          break;
        }
        case 'closing':
          settle();
          this.owner.closing?.();
          break;
        case 'resumed':
          settle();
          this.#resting = false;
          this.#settings.resumed();
          break;
        default:
          answers.push(response);
      }
    }
    settle();
  }

  #end(cause: Error): void {
    if (!this.isAlive) return;
    this.isAlive = false;
    this.error = cause;
    clearInterval(this.#beat);
    this.loseCalls(cause, true);
    this.owner.lost(cause, true);
  }
}

function lost(pid: number, why: string): PoolError {
  return new PoolError('POOL_THREAD_LOST', `the process that writes (${pid}) was lost: ${why}`);
}
