import { PoolError } from '../errors.js';
import type { ConnectionOptions } from '../threads/connection.js';
import type { Line, LineOwner } from '../threads/line.js';
import type { Failure } from '../threads/protocol.js';
import { failureOf } from '../threads/rows.js';
import { type Meeting, meet, Refused } from './connect.js';
import type { Desk } from './desk.js';
import { Host } from './host.js';
import { Link } from './link.js';
import { WriterLock } from './lock.js';
import { type Hello, type Terms, WIRE } from './messages.js';
import { type Place, placeOf } from './place.js';
import { Seeking } from './seeking.js';

/** How long, in ms, until it is tried again to find a writer: first, and at most. */
const FIRST_DELAY = 2;
const LONGEST_DELAY = 100;
/** How long, in ms, a process may live on after it had no more to do, until it goes on as before. */
const AFTERLIFE = 50;

/** How long, in ms, a server waits for the one before it to end. */
const TO_GIVE_WAY = 1000;

/** How long, in ms, a process that listens may take to open the file, at least. */
const OPENING = 10_000;

/** What a process is among those that share a writer. */
export type WriterRole = 'writer' | 'client' | 'seeking';

export interface SharingSettings {
  /** The socket of a server, where the user named one. */
  readonly socketPath: string | undefined;
  /** Whether this process may be the one that writes, and whether it may be another. */
  readonly mayWrite: boolean;
  readonly mustWrite: boolean;
  /** How long who writes may be silent, in ms: `acquireTimeout`. */
  readonly patience: number;
}

export interface MembershipOwner {
  /** Starts a thread that writes. */
  startThread(owner: LineOwner): Line;
  desk(): Desk;
  wantsFull(): void;
  roleChanged(role: WriterRole, pid: number | undefined): void;
  /** It cannot become a member, and never will. */
  failed(error: Error): void;
}

/** A process among those that share the writer of a file: it writes, or knows who does. */
export class Membership {
  readonly place: Place;
  role: WriterRole = 'seeking';
  /** The process that writes, where it is known. */
  pid: number | undefined;
  /** How often this process took the writer's place after another. */
  takeovers = 0;
  readonly #settings: SharingSettings;
  readonly #driver: string;
  readonly #owner: MembershipOwner;
  readonly #lock: WriterLock;
  readonly #terms: Terms;
  readonly #full: boolean;
  #host: Host | undefined;
  #seeking: Seeking | undefined;
  #meeting: Meeting | undefined;
  #timer: NodeJS.Timeout | undefined;
  #giveUp: NodeJS.Timeout | undefined;
  #delay = FIRST_DELAY;
  /** Whether there was a writer before. */
  #settled = false;
  #closed = false;
  #onEmpty: (() => void) | undefined;
  readonly #beforeExit = () => void this.#handOverAtExit();

  constructor(settings: SharingSettings, connection: ConnectionOptions, owner: MembershipOwner) {
    this.#settings = settings;
    this.#owner = owner;
    this.#driver = connection.driver;
    this.place = placeOf(connection.file, settings.socketPath);
    this.#lock = new WriterLock(this.place.lock, connection);
    const { foreignKeys, integers, driver, pragmas, setup } = connection;
    this.#terms = { foreignKeys, integers, driver, pragmas, setup: setup ?? null };
    this.#full = connection.synchronous === 'full';
  }

  get guests(): number {
    return this.#host?.guests ?? 0;
  }

  /** The way to the writer, whoever that is; called again when it was lost. */
  start(owner: LineOwner, arrived: (line: Line) => void): Line {
    if (this.#lock.isTaken) return this.#startThread(owner);
    this.#change('seeking', undefined);
    const line = this.#tryToLead(owner);
    if (line !== undefined) return line;
    const seeking = new Seeking(owner, !this.#settled);
    this.#seeking = seeking;
    if (!this.#settled) this.#limit();
    if (this.#settings.mustWrite) this.#insist(owner, arrived);
    else this.#seek(owner, arrived);
    return seeking;
  }

  /** A pool that never found a writer is one that cannot be opened. */
  #limit(least = 0): void {
    const { patience, mustWrite, mayWrite } = this.#settings;
    if (patience === 0 && !mustWrite) return;
    const limit = mustWrite ? TO_GIVE_WAY : Math.max(patience, mayWrite ? OPENING : least);
    this.#giveUp = setTimeout(() => {
      if (this.#settled || this.#closed) return;
      // Somebody is there, and may be about to open the file.
      if (limit < OPENING && !mustWrite && this.#meeting?.isConnected())
        return this.#limit(OPENING);
      const { file, socket } = this.place;
      this.#fail(
        mustWrite
          ? new PoolError(
              'POOL_IN_USE',
              `another process writes ${JSON.stringify(file)} for all: it has the lock ` +
                this.place.lock,
            )
          : new PoolError(
              'POOL_TIMEOUT',
              `no process that writes ${JSON.stringify(file)} answered at ${socket} within ` +
                `${limit} ms (acquireTimeout)${this.#settings.mayWrite ? ': one has the lock, and hangs' : ': start it, for example with `poolite serve`'}`,
            ),
      );
    }, limit);
    this.#giveUp.unref();
  }

  /** Takes the lock as soon as whoever has it has ended: a service that is restarted. */
  #insist(owner: LineOwner, arrived: (line: Line) => void): void {
    this.#timer = setTimeout(() => {
      if (this.#closed) return;
      const line = this.#tryToLead(owner);
      if (line !== undefined) this.#found(line, arrived);
      else this.#insist(owner, arrived);
    }, LONGEST_DELAY / 4);
  }

  /** Not before whoever asked for a line has it. */
  #fail(error: Error): void {
    queueMicrotask(() => this.#owner.failed(error));
  }

  /** Takes the lock, where it is free. */
  #tryToLead(owner: LineOwner): Line | undefined {
    if (!this.#settings.mayWrite || this.#closed) return undefined;
    try {
      if (!this.#lock.take()) return undefined;
    } catch (error) {
      const failure = lockFailure(error);
      queueMicrotask(() => owner.failed(failure));
      return new Seeking(owner, true);
    }
    const host = new Host(this.place, this.#terms, {
      desk: () => this.#owner.desk(),
      wantsFull: () => this.#owner.wantsFull(),
      changed: () => this.#onEmpty?.(),
      failed: (error) => this.#fail(error),
    });
    this.#host = host;
    host.listen();
    if (this.#settled) this.takeovers++;
    this.#settled = true;
    this.#change('writer', process.pid);
    process.on('beforeExit', this.#beforeExit);
    return this.#startThread(owner);
  }

  #startThread(owner: LineOwner): Line {
    return this.#owner.startThread({
      ...owner,
      opened: (info) => {
        owner.opened(info);
        this.#host?.opened(info);
      },
    });
  }

  /** Goes on until somebody writes: this process, or one that answers. */
  #seek(owner: LineOwner, arrived: (line: Line) => void): void {
    if (this.#closed) return;
    const meeting = meet(this.place, this.#hello());
    this.#meeting = meeting;
    meeting.met.then(
      (met) => {
        if (this.#closed) return met.socket.destroy();
        const link = new Link(met, owner, {
          driver: this.#driver,
          patience: this.#settings.patience,
          resumed: () => owner.opened(met.greeting.info),
        });
        this.#settled = true;
        this.#found(link, arrived);
        this.#change('client', met.greeting.pid);
        owner.opened(met.greeting.info);
      },
      (error) => {
        if (this.#closed) return;
        if (error instanceof Refused) return this.#fail(error.error);
        const line = this.#tryToLead(owner);
        if (line !== undefined) return this.#found(line, arrived);
        // Somebody has the lock and does not listen yet, or does not any more.
        this.#timer = setTimeout(
          () => this.#seek(owner, arrived),
          this.#delay * (0.5 + Math.random()),
        );
        this.#timer.unref();
        this.#delay = Math.min(LONGEST_DELAY, this.#delay * 2);
      },
    );
  }

  #found(line: Line, arrived: (line: Line) => void): void {
    this.#delay = FIRST_DELAY;
    this.#seeking?.end();
    this.#seeking = undefined;
    this.#meeting = undefined;
    arrived(line);
  }

  #hello(): Hello {
    return {
      poolite: 'hello',
      wire: WIRE,
      pid: process.pid,
      file: this.place.file,
      full: this.#full,
      terms: this.#terms,
    };
  }

  #change(role: WriterRole, pid: number | undefined): void {
    this.pid = pid;
    if (this.role === role && role === 'seeking') return;
    this.role = role;
    this.#owner.roleChanged(role, pid);
  }

  /** Waits until no other process has anything under way here, at most so many ms. */
  async handOver(limit: number): Promise<void> {
    const host = this.#host;
    if (host === undefined) return;
    host.pause();
    if (!host.isBusy) return;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(() => resolve(), limit);
      this.#onEmpty = () => {
        if (host.isBusy) return;
        clearTimeout(timer);
        resolve();
      };
    });
    this.#onEmpty = undefined;
  }

  /** This process has no more to do, and ends unless something else keeps it. */
  async #handOverAtExit(): Promise<void> {
    const host = this.#host;
    process.off('beforeExit', this.#beforeExit);
    if (host === undefined || this.#closed || host.guests === 0) return;
    await this.handOver(this.#settings.patience);
    setTimeout(() => {
      if (this.#closed) return;
      host.resume();
      process.on('beforeExit', this.#beforeExit);
    }, AFTERLIFE).unref();
  }

  /** Lets another process take the writer's place: the thread that wrote must have ended. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    clearTimeout(this.#timer);
    clearTimeout(this.#giveUp);
    this.#meeting?.abandon();
    process.off('beforeExit', this.#beforeExit);
    const host = this.#host;
    this.#host = undefined;
    // The lock first: whoever is hung up on tries to take it at once.
    this.#lock.release();
    host?.close();
  }
}

/** The folder of the lock is beside the file: where it cannot be made, neither can the file. */
function lockFailure(error: unknown): Failure {
  const failure = failureOf(error);
  const isFolder = ['ENOENT', 'ENOTDIR', 'EACCES', 'EROFS'].includes(failure.code ?? '');
  return isFolder ? { ...failure, name: 'SqliteError', code: 'SQLITE_CANTOPEN' } : failure;
}
