import type { Deadlines } from '../deadlines.js';
import { PoolError } from '../errors.js';
import type { ConnectionOptions } from '../threads/connection.js';
import { lostError } from '../threads/failure.js';
import type { Answer, Command, Failure, OpenedInfo } from '../threads/protocol.js';
import { Thread } from '../threads/thread.js';
import { Brake } from './brake.js';
import { GroupQueue, MOST_UNITS } from './group-queue.js';
import { SharedCommit } from './shared-commit.js';
import { Turn, type TurnRequest } from './turn.js';
import type { Unit } from './unit.js';

/** Groups that take less, in microseconds, are answered sooner than a thread wakes up. */
const QUICK_GROUP = 40;

export interface WriterOwner {
  /** A thread is there: it opens the file when it is told to. */
  started(thread: Thread): void;
  opened(info: OpenedInfo): void;
  failed(failure: Failure): void;
  /** The thread died and has been replaced. */
  lost(cause: unknown): void;
  busyRetries(count: number): void;
  /** A group was committed: so many units, so many microseconds on the thread. */
  committed(units: number, microseconds: number, waited: number): void;
  /** Everything that reads may wait for has been answered, or waits behind a turn. */
  writesSettled(): void;
  /** After each post's answers, and each turn: whoever closes looks whether all have ended. */
  ended(): void;
  /** Somebody has waited for the writer longer than acquireTimeout. */
  timeoutError(holder: Turn | undefined, waited: number): PoolError;
}

export interface TurnCounts {
  sharedCommits: number;
  transactions: number;
}

/** The writer thread, and whose turn it is there. */
export class Writer {
  readonly counts: TurnCounts = { sharedCommits: 0, transactions: 0 };
  /** One-shot writes. */
  readonly groups = new GroupQueue();
  readonly brake = new Brake(() => this.#flush());
  thread: Thread;
  readonly #connection: ConnectionOptions;
  readonly #claims: Int32Array;
  readonly #owner: WriterOwner;
  readonly #deadlines: Deadlines;
  readonly #acquireTimeout: number;
  readonly sharedCommit: SharedCommit;
  /** Those who wait for a turn, first come first served. */
  readonly #waiting: Turn[] = [];
  #turn: Turn | undefined;
  /** Whether turns had the writer last: groups and turns alternate. */
  #turnLast = false;
  #open = false;
  #closing = false;
  #commands: Command[] = [];
  #scheduled = false;
  /** A clock that is read once a tick. */
  #now = performance.now();
  #sweeper: NodeJS.Timeout | undefined;
  readonly #flushLater = () => {
    this.#scheduled = false;
    this.#flush();
  };

  constructor(
    connection: ConnectionOptions,
    claims: Int32Array,
    owner: WriterOwner,
    deadlines: Deadlines,
    options: { acquireTimeout: number; shareCommits: boolean },
  ) {
    this.#connection = connection;
    this.#claims = claims;
    this.#owner = owner;
    this.#deadlines = deadlines;
    this.#acquireTimeout = options.acquireTimeout;
    this.sharedCommit = new SharedCommit(options.shareCommits);
    this.thread = this.#start();
  }

  /** The clock of this tick: exact enough to tell who waited too long. */
  get now(): number {
    return this.#now;
  }

  get waiting(): number {
    return this.#waiting.length;
  }

  get holder(): Turn | undefined {
    return this.#turn;
  }

  /** Whether reads must wait for one-shot writes: never for those behind a turn. */
  get holdsReads(): boolean {
    return this.groups.sent > 0 || (this.groups.queued > 0 && this.#turn === undefined);
  }

  /** Whether a read need not wait any more for the writes up to this number. */
  hasPassed(issued: number): boolean {
    return this.groups.hasPassed(issued, this.#turn !== undefined);
  }

  submit(unit: Unit): void {
    this.groups.add(unit);
    if (!this.#scheduled) this.#schedule();
  }

  /** Asks for the writer. */
  acquire(request: TurnRequest): Turn {
    const turn = new Turn(request, this.groups.issued);
    const asked = performance.now();
    if (request.acquireTimeout > 0) {
      turn.deadline = this.#deadlines.set(request.acquireTimeout, () => {
        this.withdraw(turn);
        const waited = performance.now() - asked;
        request.refused(this.#owner.timeoutError(this.#turn, waited));
      });
    }
    this.#waiting.push(turn);
    if (!this.#scheduled) this.#schedule();
    return turn;
  }

  /** Gives up waiting; false where the turn was granted or refused before. */
  withdraw(turn: Turn): boolean {
    const at = this.#waiting.indexOf(turn);
    if (at < 0) return false;
    this.#waiting.splice(at, 1);
    this.#deadlines.clear(turn.deadline);
    return true;
  }

  /** Sends a command of the turn that has the writer; those of one tick travel together. */
  send(command: Command): void {
    // What begins no transaction of its own must not run inside one that waits for its commit.
    if (this.sharedCommit.isOpen && this.#turn?.begunAt === 0 && command.type !== 'end') {
      this.#settle();
    }
    this.#commands.push(command);
    if (!this.#scheduled) this.#schedule();
  }

  /**
   * A transaction begins, with the next command. What ended before it is committed first where
   * `alone` says that it must not share.
   */
  begin(turn: Turn, command: Command & { type: 'begin' }, alone: boolean): void {
    if (this.sharedCommit.isOpen && (alone || command.behavior !== 'immediate')) this.#settle();
    turn.begunAt = performance.now();
    this.counts.transactions++;
    this.send(command);
  }

  /**
   * The transaction of a turn ends. With `leave` the turn is over too, so that the next may begin
   * before the commit is done, and share it.
   */
  end(turn: Turn, task: number, how: 'commit' | 'rollback', leave: boolean): void {
    const now = performance.now();
    // A lease may have begun it by a script: then nobody knows how long it lasted.
    if (turn.begunAt > 0) this.sharedCommit.lasted(turn.begunAt, now);
    turn.begunAt = 0;
    const share = how === 'commit' && leave && this.#mayShare(now);
    this.send({ type: 'end', task, how, share });
    if (share) this.sharedCommit.join(now);
    else if (how === 'commit') this.sharedCommit.sent(now);
    if (leave) this.leave(turn, share);
  }

  /** The turn is over: whatever it sent is on its way. */
  leave(turn: Turn, share = false): void {
    if (turn.over) return;
    turn.over = true;
    this.#deadlines.clear(turn.deadline);
    if (this.#turn !== turn) return;
    this.#turn = undefined;
    this.#turnLast = true;
    if (share) this.#grant(this.#waiting.shift() as Turn);
    else if (!this.#scheduled) this.#schedule();
    this.#owner.ended();
  }

  /** The thread will end now, and is not to be replaced. */
  close(): void {
    this.#closing = true;
    this.brake.release();
    clearInterval(this.#sweeper);
  }

  /** Settles everything that was not sent. */
  rejectQueued(error: Error): void {
    for (const unit of this.groups.takeQueued()) unit.settle(error);
    for (const turn of this.#waiting.splice(0)) {
      this.#deadlines.clear(turn.deadline);
      turn.over = true;
      turn.request.refused(error);
    }
  }

  /** Settles what the thread has and will not answer. */
  rejectSent(error: Error): void {
    for (const unit of this.groups.takeSent()) unit.settle(error);
  }

  #start(): Thread {
    const thread = new Thread('writer', this.#connection, this.#claims, 0, {
      opened: (info) => {
        this.#open = true;
        this.#owner.opened(info);
        this.#flush();
      },
      failed: (failure) => this.#owner.failed(failure),
      answer: (answer) => this.#answered(answer),
      handled: () => {
        this.#now = performance.now();
        this.#owner.ended();
      },
      lost: (cause, committing) => this.#lost(cause, committing),
      busy: () =>
        !this.#open ||
        this.groups.queued + this.groups.sent + this.#waiting.length > 0 ||
        this.onProgress !== undefined,
    });
    this.#owner.started(thread);
    return thread;
  }

  #schedule(): void {
    this.#scheduled = true;
    process.nextTick(this.#flushLater);
  }

  #mayShare(now: number): boolean {
    if (this.brake.ms > 0 || this.#waiting[0]?.request.shares !== true) return false;
    return this.sharedCommit.mayJoin(now);
  }

  /** Commits what ended transactions left: nobody shares it. */
  #settle(): void {
    this.sharedCommit.close();
    this.#commands.push({ type: 'settle' });
  }

  #grant(turn: Turn): void {
    this.#deadlines.clear(turn.deadline);
    this.#turn = turn;
    turn.since = performance.now();
    const { limit } = turn.request;
    turn.deadline = limit > 0 ? this.#deadlines.set(limit, () => this.#expire(turn)) : undefined;
    // Reads wait for writes, but not for those that wait for a turn.
    if (this.groups.queued > 0) {
      this.#owner.writesSettled();
      this.#sweepLater();
    }
    turn.request.granted(turn);
  }

  #expire(turn: Turn): void {
    const { limit, kind, opener } = turn.request;
    const error = new PoolError(
      'POOL_TIMEOUT',
      `a ${kind} held the writer longer than transactionTimeout (${limit} ms) and was rolled back`,
      { cause: opener },
    );
    this.#takeAway(turn, () => turn.request.expired(turn, error));
  }

  /** Takes the writer from whoever has it: what was done is rolled back. */
  revoke(error: Error): void {
    const turn = this.#turn;
    if (turn !== undefined) this.#takeAway(turn, () => turn.request.revoked(error));
  }

  #takeAway(turn: Turn, tell: () => void): void {
    const task = this.thread.expect({ reply: () => {}, lost: () => {} });
    this.send({ type: 'end', task, how: 'rollback', share: false });
    turn.begunAt = 0;
    tell();
    this.leave(turn);
  }

  /** Sends what the tick gathered, and gives the writer to whoever is next. */
  #flush(): void {
    this.#now = performance.now();
    // A thread that died has its last answers read before it is replaced.
    if (!this.#open || !this.thread.alive) {
      if (this.groups.queued + this.#waiting.length > 0) this.thread.reference();
      return;
    }
    if (this.sharedCommit.isOpen && (this.#turn === undefined || this.#turn.begunAt === 0)) {
      this.#settle();
    }
    if (this.#turn === undefined) this.#next();
    else if (this.groups.queued > 0) this.#sweepLater();
    if (this.#commands.length > 0) {
      const commands = this.#commands;
      this.#commands = [];
      this.thread.post(commands, this.#expected(commands));
    }
  }

  /** What the answer to the last of these commands takes as long as: does a commit come before it? */
  #expected(commands: readonly Command[]): 'statement' | 'commit' {
    const { type } = commands[commands.length - 1] as Command;
    if (type === 'execute' && (this.#turn?.begunAt ?? 0) > 0) return 'statement';
    return type === 'group' && this.groups.microseconds < QUICK_GROUP ? 'statement' : 'commit';
  }

  #next(): void {
    const { groups } = this;
    const [next] = this.#waiting;
    // What empties the WAL is not slowed down.
    const isBraked = this.brake.ms > 0 && next?.request.kind !== 'checkpoint';
    if (isBraked && !this.brake.passes(performance.now())) return;
    const oneWrite = next === undefined ? undefined : this.#waiting.find((turn) => turn.isOneWrite);
    const upTo = oneWrite?.after ?? Number.POSITIVE_INFINITY;
    if (groups.sent === 0 && next !== undefined) {
      const early = next.isOneWrite && groups.gathers(next.after);
      if (!early && (!this.#turnLast || !groups.gathers(upTo))) {
        this.#waiting.shift();
        this.#grant(next);
        return;
      }
    }
    // One group at a time gathers the most; only a full one may wait behind another.
    while (groups.gathers(upTo) && groups.sent < 2) {
      const behind = groups.sent > 0;
      if (behind && (groups.queued < MOST_UNITS || this.#waiting.length > 0)) return;
      this.#turnLast = false;
      this.#commands.push(groups.next(this.thread, upTo));
    }
  }

  #answered(answer: Extract<Answer, { type: 'reads' | 'group' | 'progress' | 'busy' }>): void {
    if (answer.type === 'busy') return this.#owner.busyRetries(answer.retries);
    if (answer.type === 'progress') return this.onProgress?.(answer);
    if (answer.type !== 'group') return;
    const units = this.groups.answered(answer);
    const waited = units.length > 0 ? this.#now - (units[0] as Unit).since : 0;
    // The next group goes out first, so that the thread works while these callers wake.
    this.#flush();
    if (units.length === 0) return;
    const { decoder } = this.thread;
    decoder.read(answer.words);
    for (const unit of units) unit.settle(decoder.next());
    this.#owner.committed(units.length, answer.microseconds, waited);
    this.#owner.writesSettled();
  }

  /** Where a bulk is under way: how far it came. */
  onProgress: ((progress: Extract<Answer, { type: 'progress' }>) => void) | undefined;

  /** Units behind a long turn wait no longer than acquireTimeout. */
  #sweepLater(): void {
    if (this.#sweeper !== undefined || this.#acquireTimeout === 0) return;
    this.#sweeper = setInterval(
      () => {
        if (this.groups.queued === 0 || this.#turn === undefined) {
          clearInterval(this.#sweeper);
          this.#sweeper = undefined;
          return;
        }
        const now = performance.now();
        const late = this.groups.takeLate(now - this.#acquireTimeout);
        for (const unit of late) {
          unit.settle(this.#owner.timeoutError(this.#turn, now - unit.since));
        }
      },
      Math.max(5, Math.min(250, this.#acquireTimeout / 10)),
    );
    this.#sweeper.unref();
  }

  #lost(cause: unknown, committing: boolean): void {
    this.#open = false;
    const turn = this.#turn;
    this.#turn = undefined;
    this.sharedCommit.close();
    this.#commands = [];
    const error = lostError(cause, committing);
    for (const unit of this.groups.lost()) unit.settle(error);
    if (turn !== undefined) {
      turn.over = true;
      this.#deadlines.clear(turn.deadline);
      turn.request.lost(lostError(cause, false));
    }
    if (this.#closing) return;
    this.#owner.lost(cause);
    // Too many in a row: the pool gave up.
    if (this.#closing) return;
    this.thread = this.#start();
    this.thread.reference();
    this.#owner.writesSettled();
  }
}
