import { Connection, type Setup } from './connection.js';
import { Cursor, Cursors } from './cursor.js';
import type { Outbox } from './outbox.js';
import {
  type Command,
  Control,
  Outcome,
  type ThreadData,
  taskWord,
  WordReader,
  type Words,
} from './protocol.js';
import { Runner } from './runner.js';
import { interrupted, Running } from './running.js';

/** Answers wait for others at most so long, in ms, and never for a statement not known as quick. */
const LONGEST_WAIT = 1;
/** Connections that snapshots and streams left clean are kept for the next, so many of them. */
const MOST_SPARES = 2;

/** A connection that somebody holds: a lease, a snapshot or a stream. */
interface Session {
  connection: Connection;
  cursors: Cursors;
}

/**
 * What a reader thread does. Its first connection serves one-shot reads; whoever needs one state
 * over several statements gets a connection of its own, since a read transaction that stays open
 * would show every other read of that connection the past.
 */
export class ReaderThread {
  readonly #data: ThreadData;
  readonly #setup: Setup | undefined;
  readonly #outbox: Outbox;
  readonly #runner: Runner;
  readonly #running: Running;
  readonly #sessions = new Map<number, Session>();
  readonly #spares: Connection[] = [];
  /** How long each statement took here of late, in ms. */
  readonly #times = new Map<number, number>();
  #connection: Connection | undefined;
  #words: Words = [];

  constructor(data: ThreadData, setup: Setup | undefined, outbox: Outbox) {
    this.#data = data;
    this.#setup = setup;
    this.#outbox = outbox;
    this.#runner = new Runner(outbox.encoder);
    this.#running = new Running(data.control);
  }

  handle(command: Command): void {
    switch (command.type) {
      case 'define':
        return this.#runner.define(command);
      case 'forget':
        return this.#forget(command.ids);
      case 'open':
        return this.#open();
      case 'reads':
        return this.#reads(command.words);
      case 'session':
        return this.#enter(command);
      case 'leave':
        return this.#leave(command.session, command.clean);
      case 'execute':
        return this.#execute(command);
      case 'exec':
        return this.#exec(command);
      case 'cursor':
        return this.#cursor(command);
      case 'fetch':
        return this.#fetch(command);
      case 'drop':
        return this.#sessions.get(command.session)?.cursors.drop(command.cursor);
      case 'close':
        return this.#close(command.task);
      case 'group':
      case 'begin':
      case 'end':
      case 'ahead':
      case 'settle':
      case 'bulk':
      case 'rows':
      case 'bulk-end':
      case 'checkpoint':
      case 'feed':
      case 'gate':
      case 'look':
      case 'turn':
      case 'withdraw':
        throw new Error(`a reader was sent '${command.type}'`);
      default:
        return command satisfies never;
    }
  }

  #new(): Connection {
    const { connection } = this.#data;
    const opened = new Connection(connection, 'read', connection.busyTimeout);
    try {
      opened.configure(this.#setup);
      opened.hook();
    } catch (error) {
      opened.close();
      throw error;
    }
    return opened;
  }

  #open(): void {
    this.#connection = this.#new();
    const { sqliteVersion, noHooks } = this.#connection;
    const info = { sqliteVersion, journalMode: '', attached: [], noHooks };
    this.#outbox.push({ type: 'opened', info });
  }

  #forget(ids: readonly number[]): void {
    const all = [...this.#sessions.values()].map((session) => session.connection);
    if (this.#connection !== undefined) all.push(this.#connection);
    this.#runner.forget(ids, [...all, ...this.#spares]);
    for (const id of ids) this.#times.delete(id);
  }

  /**
   * Runs the tasks of one post that nobody else has taken: each has a claim word in shared
   * memory that holds its ticket until somebody swaps it for their own mark.
   */
  #reads(words: Words): void {
    const { claims, mark, control } = this.#data;
    const connection = this.#connection as Connection;
    const reader = new WordReader(words);
    let now = performance.now();
    let flushed = now;
    while (!reader.done) {
      const ticket = reader.number();
      const slot = reader.number();
      const id = reader.number();
      if (Atomics.compareExchange(claims, slot, ticket, mark) !== ticket) {
        reader.method();
        reader.params();
        continue;
      }
      Atomics.store(control, Control.running, ticket);
      const usual = this.#times.get(id);
      if (this.#words.length > 0 && (usual === undefined || usual > LONGEST_WAIT)) {
        this.#flushReads();
        flushed = now;
      }
      this.#read(connection, ticket, slot, id, reader);
      const after = performance.now();
      const took = after - now;
      this.#times.set(id, usual === undefined ? took : Math.max(took, usual * 0.9));
      now = after;
      if (now - flushed > LONGEST_WAIT) {
        this.#flushReads();
        flushed = now;
      }
    }
    this.#flushReads();
  }

  #read(
    connection: Connection,
    ticket: number,
    slot: number,
    id: number,
    reader: WordReader,
  ): void {
    const { claims, mark } = this.#data;
    const out = this.#words;
    let start = out.push(ticket, 0);
    let before = performance.now();
    let took: number | undefined;
    const { at } = reader;
    this.#running.begin(ticket, connection.number);
    try {
      // It may have been given up since it was claimed; later than this it is interrupted.
      if (Atomics.load(claims, slot) !== mark) throw interrupted();
      this.#runner.prepare(connection, id);
      before = performance.now();
      this.#runner.run(connection, id, reader, out, (block) => {
        // The parts of a large result go ahead, so that the calling thread takes it in steps. What
        // was answered before goes first: this flush moves its blobs away too.
        if (start > 2) this.#outbox.push({ type: 'reads', words: out.splice(0, start - 2) });
        start = 2;
        this.#outbox.push({ type: 'reads', words: [ticket, 0, Outcome.block, block] });
        this.#outbox.flush();
      });
      // On the calling thread nothing would be written as words.
      if (this.#runner.gaveAt > before) took = this.#runner.gaveAt - before;
    } catch (error) {
      out.length = start;
      out.push(...this.#outbox.failed(error));
      reader.at = at;
      reader.method();
      reader.params();
    } finally {
      this.#running.end();
    }
    out[start - 1] = took ?? performance.now() - before;
  }

  #flushReads(): void {
    if (this.#words.length > 0) this.#outbox.push({ type: 'reads', words: this.#words });
    this.#words = [];
    this.#outbox.flush();
  }

  #enter({ session, task, snapshot }: Command & { type: 'session' }): void {
    try {
      const connection = this.#spares.pop() ?? this.#new();
      this.#sessions.set(session, { connection, cursors: new Cursors() });
      // Deferred: the snapshot is taken by the first read. https://sqlite.org/isolation.html
      if (snapshot) connection.db.exec('BEGIN');
      this.#outbox.done(task, snapshot);
    } catch (error) {
      this.#outbox.done(task, false, error);
    }
  }

  #leave(id: number, clean: boolean): void {
    const session = this.#sessions.get(id);
    if (session === undefined) return;
    this.#sessions.delete(id);
    session.cursors.clear();
    const { connection } = session;
    if (connection.db.inTransaction) connection.db.exec('ROLLBACK');
    if (clean && this.#spares.length < MOST_SPARES) this.#spares.push(connection);
    else connection.close();
  }

  /** Runs what a call asks for, unless it was given up; it may be interrupted. */
  #call(task: number, connection: Connection, work: () => void): void {
    this.#running.begin(-task, connection.number);
    try {
      if (!this.#running.claims(taskWord(task), task)) throw interrupted();
      work();
    } finally {
      this.#running.end();
    }
  }

  #session(id: number): Session {
    const session = this.#sessions.get(id);
    if (session === undefined) throw new Error(`session ${id} is not open`);
    return session;
  }

  #execute({ task, session, words }: Command & { type: 'execute' }): void {
    let out: Words = [];
    let inTransaction = false;
    try {
      const { connection, cursors } = this.#session(session);
      cursors.drain();
      const reader = new WordReader(words);
      try {
        this.#call(task, connection, () => {
          this.#runner.run(connection, reader.number(), reader, out);
        });
      } finally {
        inTransaction = connection.db.inTransaction;
      }
    } catch (error) {
      out = this.#outbox.failed(error);
    }
    this.#outbox.push({ type: 'held', task, inTransaction, words: out });
  }

  #exec({ task, session, script }: Command & { type: 'exec' }): void {
    let inTransaction = false;
    try {
      const { connection, cursors } = this.#session(session);
      cursors.drain();
      try {
        this.#call(task, connection, () => connection.db.exec(script));
      } finally {
        inTransaction = connection.db.inTransaction;
      }
      this.#outbox.done(task, inTransaction);
    } catch (error) {
      this.#outbox.done(task, inTransaction, error);
    }
  }

  #cursor(command: Command & { type: 'cursor' }): void {
    try {
      const { connection, cursors } = this.#session(command.session);
      const reader = new WordReader(command.words);
      const cursor = new Cursor(this.#runner.fresh(connection, reader.number()), reader);
      cursors.add(command.cursor, cursor);
    } catch (error) {
      const words = this.#outbox.failed(error);
      const answer = { type: 'chunk', done: true, inTransaction: false, words } as const;
      return this.#outbox.push({ ...answer, task: command.task });
    }
    this.#fetch(command);
  }

  #fetch({ task, session, cursor: id, rows }: Command & { type: 'fetch' | 'cursor' }): void {
    let words: Words = [];
    let done = true;
    let inTransaction = false;
    try {
      const { connection, cursors } = this.#session(session);
      inTransaction = connection.db.inTransaction;
      const cursor = cursors.get(id);
      if (cursor === undefined) throw new Error(`cursor ${id} is not open`);
      const fetch = () => cursor.fetch(this.#runner, rows, words);
      // An interrupt reaches every statement of the connection that has begun, other streams too.
      if (cursors.isAlone(id)) this.#call(task, connection, fetch);
      else fetch();
      done = cursor.done;
    } catch (error) {
      words = this.#outbox.failed(error);
    }
    this.#outbox.push({ type: 'chunk', task, done, inTransaction, words });
  }

  #close(task: number): void {
    for (const id of [...this.#sessions.keys()]) this.#leave(id, false);
    for (const spare of this.#spares) spare.close();
    this.#connection?.close();
    this.#outbox.done(task, false);
  }
}
