import type { Deadlines } from '../deadlines.js';
import { lostError } from '../threads/failure.js';
import type { Line, LineOwner, Told } from '../threads/line.js';
import type { Answer, Command } from '../threads/protocol.js';
import { Ahead, type FirstResult } from './ahead.js';
import { Asking } from './asking.js';
import { Brake } from './brake.js';
import { GroupQueue, MOST_UNITS } from './group-queue.js';
import { Outgoing } from './outgoing.js';
import type { StartLine, TurnCounts, WriterOptions, WriterOwner } from './owner.js';
import { SharedCommit } from './shared-commit.js';
import { Sweeper } from './sweeper.js';
import { expiryError, Turn, type TurnRequest, takenBack } from './turn.js';
import type { Unit } from './unit.js';
import { waitFor } from './wait-for.js';
import { WaitingTurns } from './waiting-turns.js';

/** The writer thread, and whose turn it is there. */
export class Writer {
  readonly counts: TurnCounts = { sharedCommits: 0, transactions: 0 };
  /** One-shot writes. */
  readonly groups: GroupQueue;
  readonly brake = new Brake(() => this.#flush());
  thread: Line;
  readonly #startLine: StartLine;
  /** Whether others far away must hear of a commit before it counts. */
  readonly #isFar: boolean;
  readonly #owner: WriterOwner;
  readonly #deadlines: Deadlines;
  readonly sharedCommit: SharedCommit;
  /** Those who wait for a turn, first come first served. */
  readonly #waiting: WaitingTurns;
  #turn: Turn | undefined;
  readonly #ahead = new Ahead();
  readonly #asking = new Asking();
  /** Whether turns had the writer last: groups and turns alternate. */
  #turnLast = false;
  #open = false;
  #closing = false;
  readonly #outgoing = new Outgoing(() => this.#flush());
  #now = performance.now();
  readonly #sweeper: Sweeper;

  constructor(start: StartLine, owner: WriterOwner, deadlines: Deadlines, options: WriterOptions) {
    this.#startLine = start;
    this.#isFar = options.store !== undefined;
    this.groups = new GroupQueue(options.exactlyOnce);
    this.#owner = owner;
    this.#deadlines = deadlines;
    const isBlocked = () => this.groups.queued > 0 && (this.#turn !== undefined || !this.#open);
    this.#sweeper = new Sweeper(options.acquireTimeout, this.groups, isBlocked, {
      error: (waited) => owner.timeoutError(this.#turn, waited),
      swept: () => owner.writesSettled(),
    });
    this.#waiting = new WaitingTurns(deadlines, (turn, waited) => {
      this.withdraw(turn);
      turn.request.refused(owner.timeoutError(this.#turn, waited));
    });
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

  submit(unit: Unit): void {
    this.groups.add(unit);
    this.#outgoing.schedule();
  }

  /** Units of another process have joined those that gather. */
  gathered(): void {
    this.#outgoing.schedule();
  }

  /** Stops a write: nothing of it is stored, the answer tells soon what is, or nobody knows. */
  stop(unit: Unit): 'nothing' | 'soon' | 'unknown' {
    return this.groups.stop(unit, this.thread.stops);
  }

  /** Asks for the writer. */
  acquire(request: TurnRequest): Turn {
    const turn = new Turn(request, this.groups.issued);
    this.#waiting.add(turn);
    this.#outgoing.schedule();
    return turn;
  }

  /** Gives up waiting; false where the turn was granted or refused before. */
  withdraw(turn: Turn): boolean {
    if (!this.#waiting.remove(turn)) return false;
    if (this.#asking.turn === turn) this.send(this.#asking.withdraw());
    return true;
  }

  /** Sends a command that is nobody's turn's, and changes nothing. */
  aside(command: Command): void {
    this.#outgoing.push(command);
    this.#outgoing.schedule();
  }

  /** Sends a command of the turn that has the writer; those of one tick travel together. */
  send(command: Command): void {
    const turn = this.#turn;
    if (command.type !== 'end') {
      // What begins no transaction of its own must not run inside one that waits for its commit.
      if (this.sharedCommit.isOpen && turn?.begunAt === 0) this.#settle();
      if (command.type !== 'begin') this.#ahead.sent(turn);
    }
    if (command.type !== 'end' || command.next !== true) this.#ahead.drop();
    this.aside(command);
  }

  /**
   * A transaction begins, with the next command. What ended before it is committed first where
   * `alone` says that it must not share.
   */
  begin(turn: Turn, command: Command & { type: 'begin' }, alone: boolean): void {
    if (this.sharedCommit.isOpen && (alone || command.behavior !== 'immediate')) this.#settle();
    turn.begunAt = performance.now();
    this.counts.transactions++;
    this.send(this.thread.isRemote ? { ...command, alone } : command);
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
    if (this.thread.isRemote) {
      this.send({ type: 'end', task, how, share: leave });
      if (leave) this.#over(turn);
      return;
    }
    // What is rolled back leaves the others waiting for their commit.
    const share = leave && (how === 'commit' || this.sharedCommit.isOpen) && this.#mayShare(now);
    const isCommit = how === 'commit';
    if (isCommit) this.#ahead.ended(turn);
    const first = isCommit && share ? this.#ahead.take(this.#waiting.next) : undefined;
    this.send({ type: 'end', task, how, share, next: first !== undefined });
    if (isCommit) this.sharedCommit[share ? 'join' : 'sent'](now);
    if (leave) this.leave(turn, share, first);
  }

  /** The turn is over: whatever it sent is on its way. */
  leave(turn: Turn, share = false, first?: FirstResult): void {
    if (turn.over) return;
    if (this.thread.isRemote && this.#turn === turn) {
      this.#outgoing.push({ type: 'leave', session: 0, clean: true });
    }
    this.#over(turn, share, first);
  }

  #over(turn: Turn, share = false, first?: FirstResult): void {
    turn.over = true;
    this.#deadlines.clear(turn.deadline);
    if (this.#turn !== turn) return;
    this.#turn = undefined;
    this.#turnLast = true;
    if (share) this.#grant(this.#waiting.next as Turn, first);
    else this.#outgoing.schedule();
    this.#owner.ended();
  }

  /** The thread will end now, and is not to be replaced. */
  close(): void {
    this.#closing = true;
    this.brake.release();
    this.#sweeper.stop();
  }

  /** Settles everything that was not sent. */
  rejectQueued(error: Error): void {
    for (const unit of this.groups.takeQueued()) unit.refuse(error);
    for (const turn of this.#waiting.takeAll()) {
      turn.over = true;
      turn.request.refused(error);
    }
  }

  #start(): Line {
    const owner: LineOwner = {
      opened: (info) => {
        this.#open = true;
        this.#asking.pausing = false;
        this.#owner.opened(info);
        this.#flush();
      },
      failed: (failure) => this.#owner.failed(failure),
      answer: (answer) => this.#answered(answer),
      handled: () => {
        this.#now = performance.now();
        if (this.#asking.pausing) this.#flush();
        this.#owner.ended();
      },
      lost: (cause, committing) => this.#lost(cause, committing),
      busy: () =>
        !this.#open ||
        this.groups.queued + this.groups.sent + this.#waiting.length > 0 ||
        this.onProgress !== undefined,
      granted: (number) => {
        const turn = this.#asking.granted(number);
        if (turn !== undefined) this.#grant(turn);
      },
      taken: (error) => this.#taken(error),
      closing: () => {
        this.#asking.pausing = true;
        this.#flush();
      },
    };
    return this.#startLine(owner, (line) => {
      this.thread = line;
      if (owner.busy()) line.reference();
    });
  }

  #mayShare(now: number): boolean {
    if (this.brake.ms > 0 || this.#waiting.next?.request.shares !== true) return false;
    return this.sharedCommit.mayJoin(now);
  }

  /** Commits what ended transactions left: nobody shares it. */
  #settle(): void {
    this.sharedCommit.close();
    this.#outgoing.push({ type: 'settle' });
  }

  #grant(turn: Turn, first?: FirstResult): void {
    this.#waiting.grant(turn);
    this.#turn = turn;
    turn.since = performance.now();
    const { limit } = turn.request;
    turn.deadline = limit > 0 ? this.#deadlines.set(limit, () => this.#expire(turn)) : undefined;
    // Reads wait for writes, but not for those that wait for a turn.
    if (this.groups.queued > 0 || (this.thread.isRemote && this.groups.sent > 0)) {
      this.#owner.writesSettled();
      this.#sweeper.start();
    }
    if (first !== undefined) {
      turn.begunAt = turn.since;
      turn.sent = 1;
      this.counts.transactions++;
    }
    turn.request.granted(turn, first);
  }

  #expire(turn: Turn): void {
    const error = expiryError(turn.request);
    this.#takeAway(turn, () => turn.request.expired(turn, error));
  }

  /** Takes the writer from whoever has it: what was done is rolled back. */
  revoke(error: Error): void {
    const turn = this.#turn;
    if (turn !== undefined) this.#takeAway(turn, () => turn.request.revoked(error));
  }

  /** Another process has gone, or does not want a turn any more, whether it waits or has it. */
  giveUp(turn: Turn): void {
    if (!this.withdraw(turn) && this.#turn === turn) this.#takeAway(turn, () => {});
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
      if (this.groups.queued + this.#waiting.length === 0) return;
      if (this.thread.isRemote) this.#sweeper.start();
      return this.thread.reference();
    }
    if (this.sharedCommit.isOpen && (this.#turn === undefined || this.#turn.begunAt === 0)) {
      this.#settle();
    }
    if (this.#turn === undefined) {
      if (this.thread.isRemote) this.#askFor();
      else this.#next();
    } else if (this.groups.queued > 0) this.#sweeper.start();
    const commands = this.#outgoing.take();
    if (commands.length > 0) {
      const isOpen = (this.#turn?.begunAt ?? 0) > 0;
      if (isOpen && !this.thread.isRemote && this.brake.ms === 0) {
        const room = this.sharedCommit.room(this.#now);
        commands.push(
          ...this.#ahead.commands(this.#turn as Turn, this.#waiting, room, this.thread),
        );
      }
      this.thread.post(commands, waitFor(commands, isOpen, this.groups.isQuick));
    }
    if (this.#turn === undefined) this.#asking.rest(this.thread, this.groups);
  }

  #next(): void {
    const { groups } = this;
    const { next, upTo } = this.#waiting;
    // What empties the WAL is not slowed down.
    const isBraked = this.brake.ms > 0 && next?.request.kind !== 'checkpoint';
    if (isBraked && !this.brake.passes(performance.now())) return;
    if (groups.sent === 0 && next !== undefined) {
      const early = next.isOneWrite && groups.gathers(next.after);
      if (!early && (!this.#turnLast || !groups.gathers(upTo))) {
        this.#grant(next);
        return;
      }
    }
    // One group at a time gathers the most; only a full one may wait behind another.
    while (groups.gathers(upTo) && groups.sent < 2) {
      const behind = groups.sent > 0;
      if (behind && (groups.queued < MOST_UNITS || this.#waiting.length > 0)) return;
      this.#turnLast = false;
      this.#outgoing.push(groups.next(this.thread, upTo));
    }
  }

  /** The same where another process grants turns. */
  #askFor(): void {
    this.#outgoing.push(...this.#asking.next(this.thread, this.groups, this.#waiting));
    if (!this.#asking.pausing || this.groups.queued + this.#waiting.length === 0) return;
    if (this.groups.queued > 0) this.#sweeper.start();
    // Nothing is sent now that would keep the process alive for those who wait.
    this.thread.reference();
  }

  #taken(error: Error): void {
    const turn = this.#turn;
    if (turn === undefined) return;
    takenBack(turn, error);
    this.#over(turn);
  }

  #answered(answer: Told): void {
    if (answer.type === 'changed') return this.#owner.changed(answer.text);
    if (answer.type === 'busy') return this.#owner.busyRetries(answer.retries);
    if (answer.type === 'progress') return this.onProgress?.(answer);
    if (answer.type !== 'group') return;
    const units = this.groups.answered(answer, this.thread.stops);
    const waited = units.length > 0 ? this.#now - (units[0] as Unit).since : 0;
    // The next group goes out first, so that the thread works while these callers wake; but where a
    // commit is a trip to a store, what they do next travels with it.
    if (this.#isFar) this.#outgoing.scheduleAfter();
    else this.#flush();
    if (units.length === 0) return;
    const { decoder } = this.thread;
    decoder.read(answer.words);
    for (const unit of units) unit.take(decoder);
    this.#owner.committed(units.length, answer.microseconds, waited);
    this.#owner.writesSettled();
  }

  /** Where a bulk is under way: how far it came. */
  onProgress: ((progress: Extract<Answer, { type: 'progress' }>) => void) | undefined;

  #lost(cause: unknown, committing: boolean): void {
    this.#open = false;
    this.#asking.lost();
    const turn = this.#turn;
    this.#turn = undefined;
    this.sharedCommit.close();
    this.#ahead.drop();
    this.#outgoing.take();
    const error = lostError(cause, committing);
    const { isRemote } = this.thread;
    for (const unit of this.groups.lost(isRemote)) unit.settle(error);
    if (turn !== undefined) {
      turn.over = true;
      this.#deadlines.clear(turn.deadline);
      turn.request.lost(lostError(cause, false));
    }
    if (this.#closing) return;
    this.#owner.lost(cause, isRemote);
    if (this.#closing) return; // Too many in a row: the pool gave up.
    this.thread = this.#start();
    this.thread.reference();
    this.#owner.writesSettled();
    if (isRemote) this.#flush();
  }
}
