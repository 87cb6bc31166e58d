import { holdingOf } from './context.js';
import type { Database } from './database.js';
import { PoolError } from './errors.js';
import { TransactionHandle } from './held.js';
import { ReadLease } from './lease.js';
import type { Pin } from './observing/events.js';
import { checkLimits } from './option-checks.js';
import { ReadSession } from './reading/session.js';
import type { LeaseOptions, SnapshotOptions, Transaction } from './surface.js';
import type { FirstCall } from './writing/turn.js';

/** Whoever has something to lose when a connection is taken away. */
export interface Revocable {
  /** What it will begin with, where that is known before it has the writer. */
  first?(): FirstCall | undefined;
  revoke(error: Error): void;
}

/** A reader's connection in somebody's hands. */
interface HeldSession {
  readonly kind: 'snapshot' | 'lease' | 'stream';
  readonly session: ReadSession;
  /** Since when, in ms. */
  readonly since: number;
  readonly opener: Error;
}

/** Gives readers' connections to those who hold them: snapshots, leases, streams. */
export class Sessions {
  readonly #database: Database;
  /** What is held, to be taken away when the pool closes. */
  readonly #held = new Map<Revocable, HeldSession>();
  #opening = 0;
  readonly #writesBefore: () => Promise<void>;

  constructor(database: Database, writesBefore: () => Promise<void>) {
    this.#database = database;
    this.#writesBefore = writesBefore;
  }

  /** Connections that are held, or were asked for. */
  get size(): number {
    return this.#held.size + this.#opening;
  }

  revokeAll(error: Error): void {
    for (const held of [...this.#held.keys()]) held.revoke(error);
  }

  /** Those that keep a state of the database, so that the WAL cannot be emptied. */
  pins(): Pin[] {
    const now = performance.now();
    const pins: Pin[] = [];
    for (const { kind, session, since, opener } of this.#held.values()) {
      if (!session.pins) continue;
      pins.push({ kind, ageMs: now - since, openedAt: opener.stack ?? '' });
    }
    return pins;
  }

  /** One state for every statement of `work`. */
  async snapshot<T>(work: (tx: Transaction) => Promise<T>, options: SnapshotOptions): Promise<T> {
    const opener = openedHere();
    const session = await this.#open(true, options);
    const tx = new TransactionHandle(this.#database, session, 'snapshot');
    return new Promise<T>((resolve, reject) => {
      const revocable = {
        revoke: (error: Error) => {
          tx.end(error.message);
          session.stop(error);
          session.leave();
          reject(error);
        },
      };
      const held: HeldSession = { kind: 'snapshot', session, since: performance.now(), opener };
      const forget = this.#watch(revocable, held, options);
      const { signal } = options;
      const finish = () => {
        forget();
        tx.end('over');
        session.leave();
      };
      const working = callAsync(() => work(tx));
      const ended = signal === undefined ? working : this.orAborted(working, signal, 'snapshot');
      ended.then(
        (result) => {
          finish();
          resolve(result);
        },
        (error) => {
          if (signal?.aborted === true) session.stop(error);
          finish();
          reject(error);
        },
      );
    });
  }

  async lease(options: LeaseOptions): Promise<ReadLease> {
    const opener = openedHere();
    const session = await this.#open(false, options);
    let forget = () => {};
    const lease: ReadLease = new ReadLease(this.#database, session, () => forget());
    const held: HeldSession = { kind: 'lease', session, since: performance.now(), opener };
    forget = this.#watch(lease, held, options);
    return lease;
  }

  /** A connection for a stream. */
  async stream(options: LeaseOptions, opener: Error): Promise<ReadSession> {
    const session = await this.#open(false, options);
    const revocable = {
      revoke: (error: Error) => {
        session.stop(error);
        session.leave();
      },
    };
    this.#held.set(revocable, { kind: 'stream', session, since: performance.now(), opener });
    const leave = session.leave.bind(session);
    session.leave = () => {
      this.#held.delete(revocable);
      leave();
      this.#database.ended();
    };
    return session;
  }

  /** Tells whoever listens that a connection was held too long. */
  leaked(kind: string, heldMs: number, opener: Error | undefined): void {
    const openedAt = opener?.stack ?? '';
    this.#database.events.emit('leak', () => [{ kind, heldMs, openedAt }]);
  }

  /** The outcome of `working`, unless its caller's signal comes first. */
  orAborted<T>(working: Promise<T>, signal: AbortSignal, what: string): Promise<T> {
    return new Promise((resolve, reject) => {
      const abort = () => reject(this.#database.limits.aborted(signal, what));
      if (signal.aborted) abort();
      signal.addEventListener('abort', abort, { once: true });
      const done = () => signal.removeEventListener('abort', abort);
      working.then(done, done);
      working.then(resolve, reject);
    });
  }

  /** A connection, unless the caller's `signal` or `acquireTimeout` comes first. */
  #open(snapshot: boolean, options: LeaseOptions): Promise<ReadSession> {
    const database = this.#database;
    const { deadlines } = database;
    checkLimits(options);
    const { signal, acquireTimeout = database.options.acquireTimeout } = options;
    if (signal?.aborted === true) return Promise.reject(database.limits.aborted(signal, 'lease'));
    this.#opening++;
    return new Promise((resolve, reject) => {
      let waiting = true;
      const stop = () => {
        if (waiting) this.#opening--;
        waiting = false;
        deadlines.clear(deadline);
        signal?.removeEventListener('abort', onAbort);
      };
      const giveUp = (error: unknown) => {
        if (!waiting) return;
        stop();
        reject(error);
        database.ended();
      };
      const onAbort = () => giveUp(database.limits.aborted(signal as AbortSignal, 'lease'));
      const onTimeout = () => {
        const message = `waited ${acquireTimeout} ms (acquireTimeout) for a reader's connection`;
        giveUp(new PoolError('POOL_TIMEOUT', message));
      };
      const deadline = acquireTimeout > 0 ? deadlines.set(acquireTimeout, onTimeout) : undefined;
      signal?.addEventListener('abort', onAbort, { once: true });
      this.#connect(snapshot).then((session) => {
        if (!waiting) return session.leave();
        stop();
        resolve(session);
      }, giveUp);
    });
  }

  async #connect(snapshot: boolean): Promise<ReadSession> {
    const database = this.#database;
    if (database.refusal !== undefined) throw database.refusal;
    const written = this.#writesBefore();
    if (database.state === 'opening') await database.ready;
    await written;
    const { readers } = database;
    if (readers === undefined) throw new PoolError('POOL_CLOSED', 'the pool has no readers');
    // Whoever has the writer is not held: the hold would wait for the writer.
    if (holdingOf(database) === undefined) await readers.hold.over();
    if (database.refusal !== undefined) throw database.refusal;
    const reader = readers.forSession();
    const session = new ReadSession(reader, readers.hold, database.options.connection.driver);
    await session.open(snapshot);
    return session;
  }

  /** Takes a reader's connection away once it was held too long; what it returns stops that. */
  #watch(revocable: Revocable, held: HeldSession, options: LeaseOptions): () => void {
    const { kind, opener } = held;
    const { deadlines, options: defaults } = this.#database;
    const limit = options.timeout ?? defaults.transactionTimeout;
    this.#held.set(revocable, held);
    const forget = () => {
      deadlines.clear(deadline);
      this.#held.delete(revocable);
      this.#database.ended();
    };
    const deadline =
      limit === 0
        ? undefined
        : deadlines.set(limit, () => {
            this.leaked(kind, limit, opener);
            revocable.revoke(
              new PoolError(
                'POOL_TIMEOUT',
                `a ${kind} held a reader's connection longer than transactionTimeout (${limit} ms)`,
                { cause: opener },
              ),
            );
            // What was to give it back may never come to that.
            forget();
          });
    return forget;
  }
}

/** Where a connection was asked for: made for every one, so a short stack must do. */
export function openedHere(): Error {
  const limit = Error.stackTraceLimit;
  Error.stackTraceLimit = 12;
  const opener = new Error('opened here');
  Error.stackTraceLimit = limit;
  return opener;
}

/** The same, for whoever asks for it in case of need. */
export function openerHere(): () => Error {
  const opener = openedHere();
  return () => opener;
}

async function callAsync<T>(work: () => Promise<T>): Promise<T> {
  return work();
}
