import type { Deadlines } from '../deadlines.js';
import { PoolError } from '../errors.js';
import type { ConnectionOptions } from '../threads/connection.js';
import { lostError } from '../threads/failure.js';
import type { Answer, Command, Failure, OpenedInfo, Words } from '../threads/protocol.js';
import { Thread } from '../threads/thread.js';
import { Turn, type TurnRequest } from './turn.js';
import type { Unit } from './unit.js';

/** The most units of one group; a second group of this size may be under way behind the first. */
const MOST_UNITS = 512;
/** How many transactions may end before the commit that answers them, and for how long in ms. */
const MOST_SHARING = 64;
const LONGEST_SHARING = 5;
/** Commits are shared only while transactions last no longer than this, in ms: whoever has ended
 * waits for the one that follows. */
const SHORT_TRANSACTION = 10;
/** Groups that take less, in microseconds, are answered sooner than a thread wakes up. */
const QUICK_GROUP = 40;
/** How fast a long transaction is forgotten, per transaction. */
const FORGETTING = 0.9;

export interface WriterOwner {
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

export interface WriterCounts {
  groups: number;
  groupedWrites: number;
  largestGroup: number;
  sharedCommits: number;
  transactions: number;
}

/** The writer thread, and whose turn it is there. */
export class Writer {
  readonly counts: WriterCounts = {
    groups: 0,
    groupedWrites: 0,
    largestGroup: 0,
    sharedCommits: 0,
    transactions: 0,
  };
  thread: Thread;
  readonly #connection: ConnectionOptions;
  readonly #claims: Int32Array;
  readonly #owner: WriterOwner;
  readonly #deadlines: Deadlines;
  readonly #acquireTimeout: number;
  readonly #shareCommits: boolean;
  /** One-shot writes that wait for a group. */
  #units: Unit[] = [];
  /** Groups that the thread has, oldest first; those are empty that it will not run. */
  readonly #groups: Unit[][] = [];
  /** How many groups this thread ended early. */
  #early = 0;
  /** Those who wait for a turn, first come first served. */
  readonly #waiting: Turn[] = [];
  #turn: Turn | undefined;
  #issued = 0;
  /** A moving average of a group's time on the thread, in microseconds. */
  #groupTime = 1000;
  /** Transactions that ended and wait for a commit which others may share. */
  #sharing = 0;
  #sharingSince = 0;
  /** How long transactions last, the longer ones remembered longer, in ms. */
  #longest = 0;
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
    this.#shareCommits = options.shareCommits;
    this.thread = this.#start();
  }

  /** The clock of this tick: exact enough to tell who waited too long. */
  get now(): number {
    return this.#now;
  }

  /** One-shot writes that were issued and are not answered. */
  get pending(): number {
    let pending = this.#units.length;
    for (const group of this.#groups) pending += group.length;
    return pending;
  }

  get queued(): number {
    return this.#units.length;
  }

  get waiting(): number {
    return this.#waiting.length;
  }

  get holder(): Turn | undefined {
    return this.#turn;
  }

  /** Whether reads must wait for one-shot writes: never for those behind a turn. */
  get holdsReads(): boolean {
    return this.#groups.length > 0 || (this.#units.length > 0 && this.#turn === undefined);
  }

  /** The number of the last write issued: what a read of this moment waits for. */
  get issued(): number {
    return this.#issued;
  }

  /** Whether a read need not wait any more for the writes up to this number. */
  hasPassed(issued: number): boolean {
    const sent = this.#groups.find((group) => group.length > 0)?.[0];
    if (sent !== undefined) return sent.number > issued;
    if (this.#turn !== undefined) return true;
    const queued = this.#units[0];
    return queued === undefined || queued.number > issued;
  }

  submit(unit: Unit): void {
    unit.number = ++this.#issued;
    this.#units.push(unit);
    if (!this.#scheduled) this.#schedule();
  }

  /** Takes a unit back that was not sent yet; false where it was. */
  cancel(unit: Unit): boolean {
    const at = this.#units.indexOf(unit);
    if (at < 0) return false;
    this.#units.splice(at, 1);
    return true;
  }

  /** Asks for the writer. */
  acquire(request: TurnRequest): Turn {
    const turn = new Turn(request);
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
    this.#commands.push(command);
    if (!this.#scheduled) this.#schedule();
  }

  /**
   * A transaction begins, with the next command. What ended before it is committed first where
   * `alone` says that it must not share.
   */
  begin(turn: Turn, command: Command & { type: 'begin' }, alone: boolean): void {
    if (this.#sharing > 0 && (alone || command.behavior !== 'immediate')) this.#settle();
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
    this.#longest = Math.max(now - turn.begunAt, this.#longest * FORGETTING);
    turn.begunAt = 0;
    const share = how === 'commit' && leave && this.#mayShare(now);
    this.send({ type: 'end', task, how, share });
    if (share) {
      if (this.#sharing++ === 0) this.#sharingSince = now;
      this.counts.sharedCommits++;
    } else if (how === 'commit') {
      this.#sharing = 0;
    }
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
    clearInterval(this.#sweeper);
  }

  /** Settles everything that was not sent. */
  rejectQueued(error: Error): void {
    const units = this.#units;
    this.#units = [];
    for (const unit of units) unit.settle(error);
    for (const turn of this.#waiting.splice(0)) {
      this.#deadlines.clear(turn.deadline);
      turn.over = true;
      turn.request.refused(error);
    }
  }

  /** Settles what the thread has and will not answer. */
  rejectSent(error: Error): void {
    for (const group of this.#groups.splice(0)) for (const unit of group) unit.settle(error);
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
        this.#units.length + this.#groups.length + this.#waiting.length > 0 ||
        this.onProgress !== undefined,
    });
    thread.post([{ type: 'open' }]);
    return thread;
  }

  #schedule(): void {
    this.#scheduled = true;
    process.nextTick(this.#flushLater);
  }

  #mayShare(now: number): boolean {
    if (!this.#shareCommits || this.#longest > SHORT_TRANSACTION) return false;
    if (this.#sharing + 1 >= MOST_SHARING) return false;
    if (this.#sharing > 0 && now - this.#sharingSince > LONGEST_SHARING) return false;
    return this.#waiting[0]?.request.shares === true;
  }

  /** Commits what ended transactions left: nobody shares it. */
  #settle(): void {
    this.#sharing = 0;
    this.#commands.push({ type: 'settle' });
  }

  #grant(turn: Turn): void {
    this.#deadlines.clear(turn.deadline);
    this.#turn = turn;
    turn.since = performance.now();
    const { limit } = turn.request;
    turn.deadline = limit > 0 ? this.#deadlines.set(limit, () => this.#expire(turn)) : undefined;
    // Reads wait for writes, but not for those that wait for a turn.
    if (this.#units.length > 0) {
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
    if (!this.#open) {
      if (this.#units.length + this.#waiting.length > 0) this.thread.reference();
      return;
    }
    if (this.#sharing > 0 && (this.#turn === undefined || this.#turn.begunAt === 0)) {
      this.#settle();
    }
    if (this.#turn === undefined) this.#next();
    else if (this.#units.length > 0) this.#sweepLater();
    if (this.#commands.length > 0) {
      const commands = this.#commands;
      this.#commands = [];
      this.thread.post(commands, this.#isQuick(commands));
    }
  }

  /** Whether the last of these commands is answered without a commit to the disk before it. */
  #isQuick(commands: readonly Command[]): boolean {
    const last = commands[commands.length - 1] as Command;
    if (last.type === 'group') return this.#groupTime < QUICK_GROUP;
    return last.type === 'execute' && (this.#turn?.begunAt ?? 0) > 0;
  }

  #next(): void {
    const turnsTurn = !this.#turnLast || this.#units.length === 0;
    if (this.#groups.length === 0 && this.#waiting.length > 0 && turnsTurn) {
      this.#grant(this.#waiting.shift() as Turn);
      return;
    }
    // One group at a time gathers the most; only a full one may wait behind another.
    const room = this.#groups.length === 0 || this.#units.length >= MOST_UNITS;
    if (this.#units.length === 0 || this.#groups.length > 1 || !room) return;
    if (this.#groups.length === 1 && this.#waiting.length > 0) return;
    this.#turnLast = false;
    this.#sendGroup();
    if (this.#units.length >= MOST_UNITS && this.#groups.length === 1) this.#next();
  }

  #sendGroup(): void {
    const all = this.#units;
    const group = all.length <= MOST_UNITS ? all : all.slice(0, MOST_UNITS);
    this.#units = all.length <= MOST_UNITS ? [] : all.slice(MOST_UNITS);
    const words: Words = [group.length];
    for (const unit of group) {
      if (unit.batch === undefined) this.thread.introduce(unit.statement);
      else for (const { statement } of unit.batch) this.thread.introduce(statement);
      unit.push(words);
    }
    this.#groups.push(group);
    this.#commands.push({ type: 'group', task: 0, early: this.#early, words });
  }

  #answered(answer: Extract<Answer, { type: 'reads' | 'group' | 'progress' | 'busy' }>): void {
    if (answer.type === 'busy') return this.#owner.busyRetries(answer.retries);
    if (answer.type === 'progress') return this.onProgress?.(answer);
    if (answer.type !== 'group') return;
    const group = this.#groups.shift() as Unit[];
    const { decoder } = this.thread;
    const { ran } = answer;
    if (group.length === 0) return this.#flush();
    if (ran < group.length) this.#takeBack(group.slice(ran));
    this.counts.groups++;
    this.counts.groupedWrites += ran;
    if (ran > this.counts.largestGroup) this.counts.largestGroup = ran;
    this.#groupTime += (answer.microseconds - this.#groupTime) / 4;
    const waited = this.#now - (group[0] as Unit).since;
    // The next group goes out first, so that the thread works while these callers wake.
    this.#flush();
    decoder.read(answer.words);
    for (let i = 0; i < ran; i++) (group[i] as Unit).settle(decoder.next());
    this.#owner.committed(ran, answer.microseconds, waited);
    this.#owner.writesSettled();
  }

  /**
   * A group ended early, since its time was up: the rest of it runs before what was sent behind
   * it, which the thread passes over.
   */
  #takeBack(rest: Unit[]): void {
    this.#early++;
    this.#units = [...rest, ...this.#groups.flat(), ...this.#units];
    this.#groups.fill([]);
  }

  /** Where a bulk is under way: how far it came. */
  onProgress: ((progress: Extract<Answer, { type: 'progress' }>) => void) | undefined;

  /** Units behind a long turn wait no longer than acquireTimeout. */
  #sweepLater(): void {
    if (this.#sweeper !== undefined || this.#acquireTimeout === 0) return;
    this.#sweeper = setInterval(
      () => {
        if (this.#units.length === 0 || this.#turn === undefined) {
          clearInterval(this.#sweeper);
          this.#sweeper = undefined;
          return;
        }
        const now = performance.now();
        const late = this.#units.filter((unit) => now - unit.since >= this.#acquireTimeout);
        if (late.length === 0) return;
        this.#units = this.#units.filter((unit) => now - unit.since < this.#acquireTimeout);
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
    const [running, ...behind] = this.#groups.splice(0).filter((group) => group.length > 0);
    const turn = this.#turn;
    this.#turn = undefined;
    this.#sharing = 0;
    this.#commands = [];
    // The thread had not begun the second group: it runs the first to its answer.
    this.#units = [...behind.flat(), ...this.#units];
    const error = lostError(cause, committing);
    for (const unit of running ?? []) unit.settle(error);
    if (turn !== undefined) {
      turn.over = true;
      this.#deadlines.clear(turn.deadline);
      turn.request.lost(cause, lostError(cause, false));
    }
    if (this.#closing) return;
    this.#owner.lost(cause);
    this.#early = 0;
    this.thread = this.#start();
    this.thread.reference();
    this.#owner.writesSettled();
  }
}
