import type { Answer, Command, Words } from '../threads/protocol.js';
import type { Thread } from '../threads/thread.js';
import type { Unit } from './unit.js';

/** The most units of one group; a second group of this size may be under way behind the first. */
export const MOST_UNITS = 512;

/** What groups have done since the pool was opened. */
export interface GroupCounts {
  groups: number;
  writes: number;
  largest: number;
}

/** One-shot writes: those that gather for the next group, and the groups that the thread has. */
export class GroupQueue {
  readonly counts: GroupCounts = { groups: 0, writes: 0, largest: 0 };
  /** A moving average of a group's time on the thread, in microseconds. */
  microseconds = 1000;
  #gathering: Unit[] = [];
  /** Groups that the thread has, oldest first; those are empty that it will not run. */
  readonly #sent: Unit[][] = [];
  /** How many groups this thread ended early. */
  #early = 0;
  #issued = 0;

  /** Units that no thread has. */
  get queued(): number {
    return this.#gathering.length;
  }

  /** Groups that the thread has. */
  get sent(): number {
    return this.#sent.length;
  }

  /** Units that were issued and are not answered. */
  get pending(): number {
    let pending = this.#gathering.length;
    for (const group of this.#sent) pending += group.length;
    return pending;
  }

  /** The number of the last unit issued. */
  get issued(): number {
    return this.#issued;
  }

  add(unit: Unit): void {
    unit.number = ++this.#issued;
    this.#gathering.push(unit);
  }

  /** Takes a unit back that was not sent yet; false where it was. */
  cancel(unit: Unit): boolean {
    const at = this.#gathering.indexOf(unit);
    if (at < 0) return false;
    this.#gathering.splice(at, 1);
    return true;
  }

  /** Whether the units up to this number are answered; those that gather do not count `behindTurn`. */
  hasPassed(issued: number, behindTurn: boolean): boolean {
    const sent = this.#sent.find((group) => group.length > 0)?.[0];
    if (sent !== undefined) return sent.number > issued;
    if (behindTurn) return true;
    const queued = this.#gathering[0];
    return queued === undefined || queued.number > issued;
  }

  /** Whether a unit up to this number gathers. */
  gathers(upTo: number): boolean {
    const oldest = this.#gathering[0];
    return oldest !== undefined && oldest.number <= upTo;
  }

  /** The command that sends the next group: of the units up to this number, which must be some. */
  next(thread: Thread, upTo: number): Command {
    const all = this.#gathering;
    let most = Math.min(all.length, MOST_UNITS);
    while ((all[most - 1] as Unit).number > upTo) most--;
    const group = most === all.length ? all : all.slice(0, most);
    this.#gathering = most === all.length ? [] : all.slice(most);
    const words: Words = [group.length];
    for (const unit of group) {
      if (unit.batch === undefined) thread.introduce(unit.statement);
      else for (const { statement } of unit.batch) thread.introduce(statement);
      unit.push(words);
    }
    this.#sent.push(group);
    return { type: 'group', early: this.#early, words };
  }

  /** The units of the oldest group that its answer settles; what it did not run comes again. */
  answered({ ran, microseconds }: Answer & { type: 'group' }): Unit[] {
    // A pool that closed in haste has answered them already.
    const group = this.#sent.shift() ?? [];
    if (group.length === 0) return group;
    this.counts.groups++;
    this.counts.writes += ran;
    if (ran > this.counts.largest) this.counts.largest = ran;
    this.microseconds += (microseconds - this.microseconds) / 4;
    if (ran === group.length) return group;
    // It ended early, since its time was up: its rest runs before what was sent behind it, which
    // the thread passes over.
    this.#early++;
    this.#gathering = [...group.slice(ran), ...this.#sent.flat(), ...this.#gathering];
    this.#sent.fill([]);
    return group.slice(0, ran);
  }

  /** Takes out what has gathered since before `moment`. */
  takeLate(moment: number): Unit[] {
    const late = this.#gathering.filter((unit) => unit.since <= moment);
    if (late.length > 0) this.#gathering = this.#gathering.filter((unit) => unit.since > moment);
    return late;
  }

  /** Takes out all that no thread has. */
  takeQueued(): Unit[] {
    const units = this.#gathering;
    this.#gathering = [];
    return units;
  }

  /** Takes out all that the thread has. */
  takeSent(): Unit[] {
    return this.#sent.splice(0).flat();
  }

  /**
   * The thread died: the units of the group that it ran. It had not begun the second, since it
   * runs the first to its answer, so that one gathers again.
   */
  lost(): Unit[] {
    const [running, ...behind] = this.#sent.splice(0).filter((group) => group.length > 0);
    this.#gathering = [...behind.flat(), ...this.#gathering];
    this.#early = 0;
    return running ?? [];
  }
}
