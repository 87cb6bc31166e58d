import type { ConnectionOptions } from '../threads/connection.js';
import {
  type Answer,
  Control,
  type Failure,
  pushStatement,
  type Words,
} from '../threads/protocol.js';
import { Thread } from '../threads/thread.js';
import { Claims } from './claims.js';
import { Hold, type HoldLevel, maybeSlow } from './hold.js';
import { type Reader, Retired, weight } from './retired.js';
import { type ReadTask, type RunningRead, Sent } from './task.js';

export interface ReadersOwner {
  ready(): void;
  failed(failure: Failure): void;
  lost(cause: unknown, place: number): void;
  /** A thread that could not be interrupted has been replaced, and has ended. */
  retired(place: number): void;
  /** After each post's answers: whoever closes looks whether all have ended. */
  ended(): void;
  /** An error as the caller of a read gets it whose thread died. */
  lostError(cause: unknown): Error;
}

export interface ReaderCounts {
  threaded: number;
  stolen: number;
}

/** A read that has run so long, in ms, is slow, whatever it usually is. */
const LONG_RUN = 20;

/** The reader threads, and who of them runs what. */
export class Readers {
  readonly counts: ReaderCounts = { threaded: 0, stolen: 0 };
  readonly #connection: ConnectionOptions;
  readonly #owner: ReadersOwner;
  readonly #claims = new Claims();
  readonly #readers: Reader[] = [];
  readonly hold = new Hold();
  readonly #retired: Retired;
  #waiting: ReadTask[] = [];
  /** What waits for the hold to be over. */
  #held: ReadTask[] = [];
  #scheduled = false;
  #mayOpen = false;
  #closing = false;
  readonly #dispatch = () => {
    this.#scheduled = false;
    this.#send();
  };

  constructor(count: number, connection: ConnectionOptions, owner: ReadersOwner) {
    this.#connection = connection;
    this.#owner = owner;
    this.#retired = new Retired(count, (place) => owner.retired(place));
    for (let place = 1; place <= count; place++) this.#readers.push(this.#start(place));
  }

  /** The file is ready: the readers may open it. */
  open(): void {
    this.#mayOpen = true;
    for (const reader of this.#readers) reader.thread.post([{ type: 'open' }]);
  }

  get queued(): number {
    return this.#waiting.length + this.#held.length;
  }

  get running(): number {
    return this.#claims.taken;
  }

  get threads(): readonly Thread[] {
    return this.#readers.map((reader) => reader.thread);
  }

  /** Tasks of one tick travel in one message. */
  submit(task: ReadTask): void {
    this.#waiting.push(task);
    if (this.#scheduled) return;
    this.#scheduled = true;
    process.nextTick(this.#dispatch);
  }

  /** Takes a task back that no thread has begun; false where it runs or is done. */
  cancel(task: ReadTask): boolean {
    for (const list of [this.#waiting, this.#held]) {
      const at = list.indexOf(task);
      if (at < 0) continue;
      list.splice(at, 1);
      return true;
    }
    for (const reader of this.#readers) {
      for (const sent of reader.sent.values()) {
        if (sent.task !== task) continue;
        if (!this.#claims.withdraw(sent.slot, sent.ticket)) return false;
        this.#forget(sent);
        return true;
      }
    }
    return false;
  }

  /** Gives up a read, and interrupts it where it runs. */
  stop(task: ReadTask): void {
    if (this.cancel(task)) return;
    for (const reader of [...this.#readers, ...this.#retired.readers]) {
      for (const sent of reader.sent.values()) {
        if (sent.task !== task || !this.#claims.isTakenBy(sent.slot, reader.place)) continue;
        this.#claims.giveUp(sent.slot, reader.place);
        return reader.thread.stops.interrupt(sent.ticket);
      }
    }
  }

  /** Interrupts all that runs. */
  stopAll(): void {
    for (const { thread } of this.#readers) thread.stops.interruptAll();
  }

  /** Holds new reads, those too that are with a thread and have not begun. */
  holdReads(level: Exclude<HoldLevel, 'none'>): void {
    this.hold.level = level;
    // What was held by a higher level may go by a lower one.
    this.#waiting = [...this.#held, ...this.#waiting];
    this.#held = [];
    for (const reader of this.#readers) {
      for (const sent of reader.sent.values()) {
        if (!this.#isHeld(sent.task) || !this.#claims.withdraw(sent.slot, sent.ticket)) continue;
        this.#forget(sent);
        this.counts.threaded--;
        this.#held.push(sent.task);
      }
    }
    this.#send();
  }

  /** Lets the reads go that were held. */
  releaseReads(): void {
    this.hold.release();
    this.#waiting = [...this.#held, ...this.#waiting];
    this.#held = [];
    this.#send();
  }

  /** One-shot reads that run and may be slow. */
  slowRuns(): RunningRead[] {
    const long = performance.now() - LONG_RUN;
    const runs = new Set<Sent>();
    for (const reader of this.#readers) {
      for (const sent of reader.sent.values()) {
        if (this.#claims.isFreeFor(sent.slot, sent.ticket)) continue;
        if (maybeSlow(sent.task.statement) || sent.since < long) runs.add(sent);
      }
    }
    return [...runs].map(({ task, since }) => ({ sql: task.statement.sql, since }));
  }

  #isHeld(task: ReadTask): boolean {
    if (task.urgent && this.hold.level === 'slow') return false;
    return this.hold.keeps(task.statement);
  }

  /** Takes out of what waits to be sent what the hold keeps. */
  #holdBack(): void {
    this.#held.push(...this.#waiting.filter((task) => this.#isHeld(task)));
    this.#waiting = this.#waiting.filter((task) => !this.#isHeld(task));
    if (this.#held.length > 0) this.#readers[0]?.thread.reference();
  }

  /** The reader with the least to do, for a connection of one's own. */
  forSession(): Reader {
    let best = this.#readers[0] as Reader;
    for (const reader of this.#readers) if (weight(reader) < weight(best)) best = reader;
    return best;
  }

  /** Rejects what no thread has begun, and everything else too once its thread ends. */
  async close(): Promise<void> {
    this.#closing = true;
    await Promise.all(
      [...this.#readers, ...this.#retired.readers].map((reader) => {
        const { thread } = reader;
        if (!thread.alive || !reader.open) return thread.terminate();
        return new Promise<void>((resolve) => {
          const task = thread.expect({ reply: () => resolve(), lost: () => resolve() });
          thread.post([{ type: 'close', task, checkpoint: false }]);
        });
      }),
    );
  }

  /** Ends all threads as soon as their statements let them. */
  async terminate(cause?: Error): Promise<void> {
    this.#closing = true;
    const all = [...this.#readers, ...this.#retired.readers];
    await Promise.all(all.map((reader) => reader.thread.terminate(cause)));
  }

  /** Settles everything that was not answered. */
  rejectAll(error: Error): void {
    const tasks = new Set([...this.#held, ...this.#waiting]);
    this.#waiting = [];
    this.#held = [];
    for (const reader of [...this.#readers, ...this.#retired.readers]) {
      for (const sent of reader.sent.values()) tasks.add(sent.task);
      reader.sent.clear();
    }
    for (const task of tasks) task.settle(error);
  }

  #start(place: number): Reader {
    const reader: Reader = {
      place,
      thread: undefined as never,
      open: false,
      sent: new Map(),
      load: 0,
      sessions: 0,
      left: () => this.#retired.look(reader),
    };
    reader.thread = new Thread('reader', this.#connection, this.#claims.words, place, {
      opened: () => {
        reader.open = true;
        this.#owner.ready();
        this.#send();
      },
      failed: (failure) => this.#owner.failed(failure),
      answer: (answer) => {
        if (answer.type === 'reads') this.#answered(reader, answer);
      },
      handled: () => {
        if (this.#retired.has(reader)) this.#retired.look(reader);
        else this.#balance(reader);
        this.#owner.ended();
      },
      lost: (cause) => this.#lost(reader, cause),
      busy: () => !reader.open || reader.sent.size > 0 || this.queued > 0,
    });
    reader.thread.stops.onStuck = () => this.#retire(reader);
    // Somebody may wait for ready(): the process lives at least until the thread is up.
    reader.thread.reference();
    return reader;
  }

  /** Gives each waiting task to the reader that has the least to do. */
  #send(): void {
    if (this.hold.isOn) this.#holdBack();
    if (this.#waiting.length === 0) return;
    const now = performance.now();
    const open = this.#readers.filter((reader) => reader.open);
    if (open.length === 0) {
      for (const { thread } of this.#readers) thread.reference();
      return;
    }
    const posts = new Map<Reader, { words: Words; moved: ArrayBuffer[] }>();
    let taken = 0;
    for (const task of this.#waiting) {
      const slot = this.#claims.take();
      if (slot === undefined) break;
      taken++;
      let reader = open[0] as Reader;
      for (const other of open) if (other.load < reader.load) reader = other;
      const sent = new Sent(task, this.#claims.ticket(slot), slot, now);
      let post = posts.get(reader);
      if (post === undefined) {
        post = { words: [], moved: [] };
        posts.set(reader, post);
      }
      this.#give(reader, sent, post.words);
    }
    this.#waiting = taken === this.#waiting.length ? [] : this.#waiting.slice(taken);
    this.counts.threaded += taken;
    for (const [reader, { words }] of posts)
      reader.thread.post([{ type: 'reads', words }], 'statement');
  }

  #give(reader: Reader, sent: Sent, words: Words): void {
    const { task } = sent;
    reader.thread.introduce(task.statement);
    words.push(sent.ticket, sent.slot);
    pushStatement(words, task.statement.id, task.method, task.params);
    reader.sent.set(sent.ticket, sent);
    reader.load += task.statement.microseconds;
    sent.copies.push(reader);
  }

  #forget(sent: Sent): void {
    this.#claims.free(sent.slot);
    for (const reader of sent.copies) {
      reader.sent.delete(sent.ticket);
      reader.load =
        reader.sent.size === 0 ? 0 : Math.max(0, reader.load - sent.task.statement.microseconds);
    }
  }

  #answered(reader: Reader, answer: Answer & { type: 'reads' }): void {
    const { decoder } = reader.thread;
    decoder.read(answer.words);
    while (!decoder.done) {
      const ticket = decoder.number();
      const microseconds = decoder.number() * 1000;
      const sent = reader.sent.get(ticket);
      const block = decoder.partialBlock();
      if (block !== undefined) {
        if (sent === undefined) continue;
        const rows = decoder.rowsOfBlock(block);
        if (sent.rows === undefined) sent.rows = rows;
        else for (const row of rows) sent.rows.push(row);
        continue;
      }
      let result = decoder.next();
      if (sent === undefined) continue;
      const { task } = sent;
      if (sent.rows !== undefined && Array.isArray(result)) {
        for (const row of result) sent.rows.push(row);
        result = sent.rows;
      }
      task.statement.ran(microseconds, Array.isArray(result) ? result.length : 1);
      this.#forget(sent);
      task.settle(result);
    }
  }

  /** An idle reader takes half of what a busy one has not begun: work stealing. */
  #balance(idle: Reader): void {
    if (this.#waiting.length > 0) this.#send();
    if (idle.sent.size > 0 || !idle.open || this.#readers.length === 1) return;
    let victim: Reader | undefined;
    for (const reader of this.#readers) {
      if (reader !== idle && reader.sent.size > (victim?.sent.size ?? 0)) victim = reader;
    }
    if (victim === undefined) return;
    const untouched = [...victim.sent.values()].filter(
      (sent) => !sent.copies.includes(idle) && this.#claims.isFreeFor(sent.slot, sent.ticket),
    );
    if (untouched.length === 0) return;
    const words: Words = [];
    for (const sent of untouched.slice(untouched.length >> 1)) {
      this.#give(idle, sent, words);
      this.counts.stolen++;
    }
    idle.thread.post([{ type: 'reads', words }]);
  }

  /**
   * A thread goes on with what was given up and cannot be interrupted: another takes its place, and
   * it ends when its statement does.
   */
  #retire(reader: Reader): void {
    const at = this.#readers.indexOf(reader);
    const place = this.#retired.placeBeside(this.#readers);
    if (this.#closing || at < 0 || place === undefined) return;
    for (const sent of [...reader.sent.values()]) {
      // What it runs it answers; what it has not begun another shall run.
      if (!this.#claims.withdraw(sent.slot, sent.ticket)) continue;
      this.#forget(sent);
      this.counts.threaded--;
      this.#waiting.push(sent.task);
    }
    this.#retired.add(reader);
    const replacement = this.#start(place);
    this.#readers[at] = replacement;
    replacement.thread.post([{ type: 'open' }]);
    this.#send();
  }

  #lost(reader: Reader, cause: unknown): void {
    reader.open = false;
    const held = [...reader.sent.values()];
    reader.sent.clear();
    if (this.#closing) return;
    const running = Atomics.load(reader.thread.control, Control.running);
    for (const sent of held) {
      sent.copies.splice(sent.copies.indexOf(reader), 1);
      const begun = this.#claims.isTakenBy(sent.slot, reader.place);
      if (!begun && sent.copies.length > 0) continue;
      for (const copy of sent.copies) copy.sent.delete(sent.ticket);
      this.#claims.free(sent.slot);
      // The one that ran may be what killed the thread; another reader runs the others.
      if (begun && sent.ticket === running) sent.task.settle(this.#owner.lostError(cause));
      else this.#waiting.push(sent.task);
    }
    if (this.#retired.ended(reader)) return this.#send();
    this.#owner.lost(cause, reader.place);
    // Too many in a row: the pool gave up.
    if (this.#closing) return;
    const at = this.#readers.indexOf(reader);
    const replacement = this.#start(reader.place);
    this.#readers[at] = replacement;
    if (this.#mayOpen) replacement.thread.post([{ type: 'open' }]);
    this.#send();
  }
}
