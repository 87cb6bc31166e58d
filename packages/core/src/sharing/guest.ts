import type { Socket } from 'node:net';
import type { Statement } from '../statements/catalogue.js';
import { ANY_CHANGE } from '../threads/changed.js';
import { Outcome, unitTicket, type Words } from '../threads/protocol.js';
import type { Shape } from '../threads/result.js';
import { type Fields, type GivenUnit, GivenWords, isObject, must, text, whole } from './checks.js';
import type { Desk } from './desk.js';
import { type FrameReader, frame, TooLong } from './frames.js';
import { errorFailure, GuestTurn } from './guest-turn.js';
import { done, type Response } from './messages.js';

/** A group has no more units; whoever sends more before they are answered is read no further. */
const MOST_UNITS = 1024;
const MOST_UNDER_WAY = 4 * MOST_UNITS;
/** A process remembers a thousand statements and tells when it forgets one. */
const MOST_STATEMENTS = 100_000;
const MOST_SHAPES = 2000;
const MOST_ROWIDS = 100_000;
/** What a process may say that has nothing under way. */
const QUIET: ReadonlySet<unknown> = new Set(['ping', 'stop', 'feed']);

export interface GuestOwner {
  /** It has nothing under way any more, and asks for nothing. */
  rested(): void;
  left(guest: Guest): void;
}

/** A process that has its writes done here. What it sends is checked before anything else sees it. */
export class Guest {
  readonly pid: number;
  /** Whether it has nothing under way, and will not ask for anything. */
  resting = false;
  readonly #socket: Socket;
  readonly #reader: FrameReader;
  readonly #desk: Desk;
  readonly #owner: GuestOwner;
  readonly #statements = new Map<number, Statement>();
  /** The numbers of lists of column names at the guest's. */
  readonly #shapes = new Map<Shape, number>();
  #nextShape = 0;
  #since = 0;
  readonly #turn: GuestTurn;
  /** Units that are not answered. */
  #units = 0;
  /** What stops the units of groups that are not answered, by the ticket of each. */
  readonly #stops = new Map<number, () => void>();
  #responses: Response[] = [];
  #scheduled = false;
  #gone = false;
  /** Where it wants to know of commits. */
  #stopListening: (() => void) | undefined;
  #missedChanges = false;

  constructor(socket: Socket, reader: FrameReader, pid: number, desk: Desk, owner: GuestOwner) {
    this.#socket = socket;
    this.#reader = reader;
    this.pid = pid;
    this.#desk = desk;
    this.#owner = owner;
    this.#turn = new GuestTurn({
      desk,
      statements: this.#statements,
      say: (response) => this.say(response),
      rename: (shape) => this.#rename(shape),
    });
    socket.on('data', (chunk) => {
      this.#reader.add(chunk as Buffer);
      this.#read();
    });
    socket.on('drain', () => {
      if (this.#missedChanges) this.say({ type: 'changed', text: ANY_CHANGE });
      this.#missedChanges = false;
      this.#resume();
    });
    socket.on('error', () => {}); // 'close' follows.
    socket.on('close', () => this.#leave());
    this.#read();
  }

  say(response: Response): void {
    if (this.#gone) return;
    this.#responses.push(response);
    if (this.#scheduled) return;
    this.#scheduled = true;
    process.nextTick(() => this.#flush());
  }

  /** Hangs up. */
  close(): void {
    this.#flush();
    this.#socket.end();
    this.#socket.destroySoon();
  }

  #read(): void {
    try {
      while (!this.#gone && !this.#socket.isPaused()) {
        const next = this.#reader.next();
        if (next === undefined) return;
        must(Array.isArray(next.value), 'no list of commands');
        for (const message of next.value as unknown[]) {
          must(isObject(message), 'no command');
          this.#handle(message);
        }
        if (this.#units > MOST_UNDER_WAY) this.#socket.pause();
      }
    } catch {
      // Whatever it is, it is no pool of this version: nobody but itself is to suffer from it.
      this.#socket.destroy();
    }
  }

  #resume(): void {
    if (!this.#socket.isPaused() || this.#units > MOST_UNDER_WAY) return;
    if (this.#socket.writableNeedDrain) return;
    this.#socket.resume();
    this.#read();
  }

  #flush(): void {
    this.#scheduled = false;
    if (this.#responses.length === 0 || this.#gone) return;
    const responses = this.#responses;
    this.#responses = [];
    let isTaken = true;
    try {
      isTaken = this.#socket.write(frame(responses));
    } catch (error) {
      if (!(error instanceof TooLong)) throw error;
      for (const response of responses) isTaken = this.#sendAlone(response);
    }
    // Whoever does not read its answers is not read either.
    if (!isTaken) this.#socket.pause();
  }

  #sendAlone(response: Response): boolean {
    try {
      return this.#socket.write(frame([response]));
    } catch (error) {
      if (!(error instanceof TooLong)) throw error;
      return this.#socket.write(frame([tooLong(response, error)]));
    }
  }

  #handle(message: Fields): void {
    const { type } = message;
    if (!QUIET.has(type)) this.resting = false;
    switch (type) {
      case 'ping':
        return this.say({ type: 'pong' });
      case 'rest':
        this.resting = true;
        return this.#owner.rested();
      case 'stop':
        return this.#stop(message);
      case 'feed':
        return this.#feed(message);
      case 'define':
        return this.#define(message);
      case 'forget':
        must(Array.isArray(message.ids), 'nothing to forget');
        for (const id of message.ids as unknown[]) this.#statements.delete(id as number);
        return;
      case 'group':
        return this.#group(message);
      default:
        return this.#turn.handle(text(type, 'no type'), message);
    }
  }

  #feed({ task, on, rowids }: Fields): void {
    const theirs = whole(task, Number.MAX_SAFE_INTEGER, 'no number');
    const most = whole(rowids, MOST_ROWIDS, 'no rowids');
    const heard = () => this.say(done(theirs));
    this.#stopListening?.();
    this.#stopListening = undefined;
    if (on !== true) return heard();
    this.#stopListening = this.#desk.listen(most, (text) => this.#changed(text), heard);
  }

  /** To one that does not read what is sent, no more is sent than that it has missed something. */
  #changed(text: string): void {
    if (this.#socket.writableNeedDrain) this.#missedChanges = true;
    else this.say({ type: 'changed', text });
  }

  #define({ ids, texts }: Fields): void {
    must(Array.isArray(ids) && Array.isArray(texts) && ids.length === texts.length, 'no texts');
    for (let i = 0; i < ids.length; i++) {
      const id = whole(ids[i], Number.MAX_SAFE_INTEGER, 'no number');
      this.#statements.set(id, this.#desk.statement(text(texts[i], 'no text')));
    }
    must(this.#statements.size <= MOST_STATEMENTS, 'too many statements');
  }

  /** Of what is answered already there is nothing to stop. */
  #stop({ ticket }: Fields): void {
    must(Number.isInteger(ticket), 'no number');
    if ((ticket as number) < 0) return this.#turn.stop(-(ticket as number));
    this.#stops.get(ticket as number)?.();
  }

  #group({ words, group }: Fields): void {
    const number = whole(group, Number.MAX_SAFE_INTEGER, 'no number');
    const given = new GivenWords(words, this.#statements);
    const count = given.count(MOST_UNITS);
    const units: GivenUnit[] = [];
    for (let i = 0; i < count; i++) units.push(given.unit());
    must(given.done && count > 0, 'words of no unit');
    const started = performance.now();
    const results: Words[] = [];
    let left = count;
    this.#units += count;
    const settled = (i: number, result: Words) => {
      results[i] = result;
      this.#stops.delete(unitTicket(number, i));
      this.#units--;
      if (--left > 0 || this.#gone) return;
      const microseconds = Math.round((performance.now() - started) * 1000);
      this.say({ type: 'group', ran: count, microseconds, words: results.flat() });
      this.#resume();
    };
    units.forEach((unit, i) => {
      let isOver = false;
      const end = (result: Words) => {
        isOver = true;
        settled(i, result);
      };
      const stop = this.#desk.submit(unit, {
        rename: (shape) => this.#rename(shape),
        words: end,
        error: (error) => end([Outcome.error, errorFailure(error)]),
      });
      if (!isOver) this.#stops.set(unitTicket(number, i), stop);
    });
  }

  #rename(shape: Shape): number {
    let id = this.#shapes.get(shape);
    if (id === undefined) {
      if (this.#shapes.size >= MOST_SHAPES) {
        this.#shapes.clear();
        this.#since = this.#nextShape;
      }
      id = this.#nextShape++;
      this.#shapes.set(shape, id);
      this.say({ type: 'shape', id, keys: [...shape.keys], since: this.#since });
    }
    return id;
  }

  #leave(): void {
    if (this.#gone) return;
    this.#gone = true;
    this.#stopListening?.();
    this.#turn.end();
    this.#desk.part();
    this.#owner.left(this);
  }
}

/** What is said instead of something that does not fit into a frame. */
function tooLong(response: Response, { message }: TooLong): Response {
  const failure = {
    ...{ name: 'PoolError', code: 'POOL_MISUSE' },
    message: `the result is too large to cross between processes (${message}): read it in pieces`,
  };
  switch (response.type) {
    case 'held':
    case 'chunk': {
      const { task, inTransaction } = response;
      return { type: 'done', tasks: [task], failure, inTransaction };
    }
    case 'group': {
      const words: Words = [];
      for (let i = 0; i < response.ran; i++) words.push(Outcome.error, failure);
      return { ...response, words };
    }
    default:
      return response;
  }
}
