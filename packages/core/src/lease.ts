import { enterHolding, type Holding, newHolding } from './context.js';
import type { Database } from './database.js';
import { PoolError, shorten } from './errors.js';
import { type Channel, Held } from './held.js';
import type { Holders } from './holders.js';
import type { ReadSession } from './reading/session.js';
import type { Statement } from './statements/catalogue.js';
import type { BeginBehavior } from './statements/classify.js';
import type { LeaseOptions, Lease as PublicLease } from './surface.js';
import { Method } from './threads/protocol.js';
import type { WriterHolder } from './writing/holder.js';
import type { FirstCall } from './writing/turn.js';

/** Why a lease that was released takes nothing: whoever uses it gets an error of their own. */
const released = new PoolError('POOL_MISUSE', 'this lease was released');

function doubleRelease(): PoolError {
  return new PoolError('POOL_MISUSE', 'this lease was released before: release it once');
}

/** What a lease of either kind has. */
abstract class BaseLease extends Held implements PublicLease {
  abstract readonly access: 'read' | 'write';
  abstract readonly inTransaction: boolean;
  protected readonly what = 'lease';
  /** Its transaction may share a commit with others, which a script could undo. */
  protected get refusesControl(): boolean {
    return this.access === 'write' && this.inTransaction;
  }

  protected over: Error | undefined;
  readonly #holding: Holding;

  constructor(database: Database, holding: Holding) {
    super(database);
    this.#holding = holding;
  }

  protected check(sql: string): void {
    if (this.over === undefined) return;
    if (!PoolError.is(this.over)) throw this.over;
    throw new PoolError(this.over.code, `${this.over.message}. SQL: ${shorten(sql)}`, {
      cause: this.over.cause,
    });
  }

  enter(): void {
    // A reader's lease keeps nobody from writing.
    if (this.access === 'write') enterHolding(this.#holding);
  }

  protected finish(error: Error): void {
    this.over ??= error;
    this.#holding.live = false;
    this.closeStreams();
  }

  /** Whether its end came before its release: nothing is left to give back, and no one's fault. */
  protected wasTaken(): boolean {
    if (this.over === undefined) return false;
    if (PoolError.is(this.over) && this.over.code === 'POOL_MISUSE') throw doubleRelease();
    return true;
  }

  abstract release(): Promise<void>;

  [Symbol.asyncDispose](): Promise<void> {
    return this.over === undefined ? this.release() : Promise.resolve();
  }
}

/** A reader's connection until it is released. */
export class ReadLease extends BaseLease {
  readonly access = 'read';
  readonly #session: ReadSession;
  readonly #onRelease: () => void;

  constructor(database: Database, session: ReadSession, onRelease: () => void) {
    super(database, newHolding(database, 'read lease'));
    this.#session = session;
    this.#onRelease = onRelease;
  }

  get inTransaction(): boolean {
    return this.#session.inTransaction;
  }

  protected channel(sql: string): Channel {
    this.check(sql);
    return this.#session;
  }

  protected control(): undefined {
    return undefined;
  }

  /** Takes the connection away. */
  revoke(error: Error): void {
    if (this.over !== undefined) return;
    this.finish(error);
    if (error !== released) this.#session.stop(error);
    this.#session.leave();
    this.#onRelease();
  }

  async release(): Promise<void> {
    if (this.wasTaken()) return;
    this.revoke(released);
  }
}

/** A promise of the writer, and its ends. */
interface Waiting {
  promise: Promise<WriterHolder>;
  resolve(holder: WriterHolder): void;
  reject(error: unknown): void;
}

function waiting(): Waiting {
  const ends = {} as Waiting;
  ends.promise = new Promise((resolve, reject) => {
    ends.resolve = resolve;
    ends.reject = reject;
  });
  return ends;
}

/** The writer until it is released. */
export class WriteLease extends BaseLease {
  readonly access = 'write';
  readonly #options: LeaseOptions;
  readonly #holders: Holders;
  /** Undefined before it arrives, and between a commit that others may share and the next statement. */
  #holder: WriterHolder | undefined;
  /** Whether the writer was asked for and has not come. */
  #asked = false;
  /** Who waits for it here. */
  #waiting: Waiting | undefined;
  /** Whether its first statement was a BEGIN: then its COMMIT may end the turn. */
  #first: 'begin' | 'other' | undefined;
  #firstSql = '';
  /** The first call of a transaction that was begun early, and how many calls there were. */
  #firstCall: FirstCall | undefined;
  #uses = 0;
  /** Whether it began a transaction that nobody has ended. */
  #begun = false;
  /** What it began before the writer was there: the next statement does so in fact. */
  #toBegin: BeginBehavior | undefined;

  constructor(database: Database, holders: Holders, options: LeaseOptions, holding: Holding) {
    super(database, holding);
    this.#holders = holders;
    this.#options = options;
  }

  get inTransaction(): boolean {
    return this.#toBegin !== undefined || (this.#holder?.inTransaction ?? false);
  }

  protected channel(sql: string): Channel | Promise<Channel> {
    this.check(sql);
    this.#first ??= 'other';
    this.#firstSql ||= sql;
    this.#uses++;
    return this.#holder ?? this.acquire();
  }

  /** What it will begin with, where that waits already. */
  first(): FirstCall | undefined {
    return this.over === undefined ? this.#firstCall : undefined;
  }

  /** Says what it is for, where its stack was not worth the time: see the option `early`. */
  openedFor(): Error {
    const opener = new Error(`opened for: ${shorten(this.#firstSql)}`);
    opener.stack = opener.message;
    return opener;
  }

  protected override waits(call: FirstCall): void {
    if (this.#toBegin === 'immediate' && this.#uses === 1) this.#firstCall = call;
  }

  /** Asks for the writer, where that was not done. */
  ask(): void {
    if (this.#asked) return;
    this.#asked = true;
    this.#holders.writerFor(this, this.#options);
  }

  /** Resolves when the writer is there; what is sent in the same tick travels at once. */
  acquire(): Promise<WriterHolder> {
    this.#waiting ??= waiting();
    const { promise } = this.#waiting;
    this.ask();
    return promise;
  }

  /** The writer is there. */
  arrived(holder: WriterHolder): void {
    this.#asked = false;
    const waiting = this.#waiting;
    this.#waiting = undefined;
    if (this.over !== undefined) {
      holder.leave();
      const error = this.over;
      waiting?.reject(error === released ? new PoolError(released.code, released.message) : error);
      return;
    }
    this.#holder = holder;
    if (this.#toBegin !== undefined) {
      holder.begin(this.#toBegin);
      this.#toBegin = undefined;
    }
    waiting?.resolve(holder);
  }

  /** The writer is not to be had. */
  refused(error: unknown): void {
    this.#asked = false;
    const waiting = this.#waiting;
    this.#waiting = undefined;
    waiting?.reject(error);
  }

  /** BEGIN travels with the statement behind it, and COMMIT may be shared with others. */
  protected control(statement: Statement, method: Method): Promise<unknown> | undefined {
    const { kind, behavior } = statement.classification;
    if (kind !== 'begin' && kind !== 'commit' && kind !== 'rollback') return undefined;
    if (method !== Method.run && method !== Method.query) return undefined;
    this.check(statement.sql);
    const nothing =
      method === Method.run
        ? { changes: 0, lastInsertRowid: 0 }
        : { rows: [], changes: 0, lastInsertRowid: 0 };
    if (kind === 'begin') return this.#begin(behavior ?? 'deferred', statement, method, nothing);
    if (this.#toBegin !== undefined) {
      // Nothing ran in it: there is nothing to end.
      this.#toBegin = undefined;
      this.#firstCall = undefined;
      this.#begun = false;
      return Promise.resolve(nothing);
    }
    const holder = this.#holder;
    if (holder === undefined || !holder.inTransaction) {
      if (!this.#begun || kind !== 'rollback') return undefined;
      // A commit that failed, or SQLite itself, rolled it back before the caller did. The thread
      // refuses statements until it hears of the caller's own.
      this.#begun = false;
      if (holder?.unended !== true) return Promise.resolve(nothing);
      return holder.rollback(false).then(() => nothing);
    }
    const leave = kind === 'commit' && this.#first === 'begin';
    if (leave) {
      this.#holder = undefined;
      this.#first = undefined;
    }
    const ended = kind === 'commit' ? holder.commit(leave) : holder.rollback(false);
    return ended.then(() => {
      this.#begun = false;
      return nothing;
    });
  }

  async #begin(
    behavior: BeginBehavior,
    statement: Statement,
    method: Method,
    nothing: unknown,
  ): Promise<unknown> {
    if (this.#holder === undefined && this.#options.early === true && this.#toBegin === undefined) {
      this.#first ??= 'begin';
      this.#begun = true;
      this.#toBegin = behavior;
      this.#firstCall = undefined;
      this.#uses = 0;
      this.ask();
      return nothing;
    }
    const holder = this.#holder ?? (await this.acquire());
    // SQLite has its own word for a transaction within a transaction.
    if (holder.inTransaction) return holder.execute(statement, method, undefined);
    this.#first ??= 'begin';
    this.#begun = true;
    holder.begin(behavior);
    return nothing;
  }

  /** Takes the writer away: it has been rolled back. */
  revoke(error: Error): void {
    this.finish(error);
    this.#holder?.end(error);
    this.#holder = undefined;
  }

  async release(): Promise<void> {
    if (this.wasTaken()) return;
    this.finish(released);
    const holder = this.#holder;
    if (holder === undefined) return;
    this.#holder = undefined;
    if (holder.mayBeOpen || holder.unended) await holder.rollback(true);
    else holder.leave();
  }
}
