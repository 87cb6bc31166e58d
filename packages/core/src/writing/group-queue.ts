import { randomUUID } from 'node:crypto';
import type { Line } from '../threads/line.js';
import {
  type Answer,
  type Command,
  unitTicket,
  unitWord,
  type Words,
} from '../threads/protocol.js';
import type { Stops } from '../threads/stops.js';
import { GuestUnits } from './guest-units.js';
import type { OnceMark, Unit } from './unit.js';

/** The most units of one group; a second group of this size may be under way behind the first. */
export const MOST_UNITS = 512;

/** The values of a group that goes to another process have no more bytes than this, save one unit's. */
const MOST_BYTES = 16 * 1024 * 1024;

/** Groups that take less, in microseconds, are answered sooner than a thread wakes up. */
const QUICK_GROUP = 40;

/** What groups have done since the pool was opened. */
export interface GroupCounts {
  groups: number;
  writes: number;
  largest: number;
}

/** A group that the thread has. */
interface SentGroup {
  readonly number: number;
  /** None, where the thread will not run it. */
  units: Unit[];
}

/** Groups are numbered up to here, and then from 1 again. */
const LAST_NUMBER = 2 ** 29;

function forgetDropped({ number, units }: SentGroup, stops: Stops): void {
  units.forEach(({ dropped }, index) => {
    if (dropped) stops.forget(unitWord(number, index), number);
  });
}

/** One-shot writes: those that gather for the next group, and the groups that the thread has. */
export class GroupQueue {
  readonly counts: GroupCounts = { groups: 0, writes: 0, largest: 0 };
  /** A moving average of a group's time on the thread, in microseconds. */
  microseconds = 1000;
  #gathering: Unit[] = [];
  /** Groups that the thread has, oldest first. */
  readonly #sent: SentGroup[] = [];
  #number = 0;
  /** How many groups this thread ended early. */
  #early = 0;
  #issued = 0;
  /** Who this process is in the ledger. */
  readonly #client: string | undefined;
  /** Units of other processes. */
  readonly guests = new GuestUnits();

  /** Whether the usual group is answered sooner than a thread wakes up. */
  get isQuick(): boolean {
    return this.microseconds < QUICK_GROUP;
  }

  /** Units that no thread has. */
  get queued(): number {
    return this.#gathering.length + this.guests.queued;
  }

  /** Whether units of this process gather. */
  get gathersOwn(): boolean {
    return this.#gathering.length > 0;
  }

  /** Whether the thread has units of this process. */
  get sentOwn(): boolean {
    if (this.guests.guests.length === 0) return this.#sent.length > 0;
    return this.#sent.some(({ units }) => units.some((unit) => unit.number > 0));
  }

  /** Groups that the thread has. */
  get sent(): number {
    return this.#sent.length;
  }

  /** Units that were issued and are not answered. */
  get pending(): number {
    let pending = this.queued;
    for (const { units } of this.#sent) pending += units.length;
    return pending;
  }

  /** The number of the last unit issued. */
  get issued(): number {
    return this.#issued;
  }

  /** @param once whether units of this process are remembered in the ledger. */
  constructor(once: boolean) {
    this.#client = once ? randomUUID() : undefined;
  }

  add(unit: Unit): void {
    unit.number = ++this.#issued;
    if (this.#client !== undefined) {
      unit.once = { client: this.#client, number: unit.number, answered: 0, sent: false };
    }
    this.#gathering.push(unit);
  }

  /** Takes a unit back that gathers; false where a thread has it. */
  #cancel(unit: Unit): boolean {
    const at = this.#gathering.indexOf(unit);
    if (at < 0) return false;
    this.#gathering.splice(at, 1);
    return true;
  }

  /** Stops a unit: nothing of it is stored, its answer tells soon what is, or nobody knows. */
  stop(unit: Unit, stops: Stops): 'nothing' | 'soon' | 'unknown' {
    const mayBeDone = unit.once?.again === true;
    if (!this.#stop(unit, stops) && !mayBeDone) return 'nothing';
    return stops.canInterrupt && !mayBeDone ? 'soon' : 'unknown';
  }

  /** False where the thread has not begun it, and will not. */
  #stop(unit: Unit, stops: Stops): boolean {
    if (this.#cancel(unit)) return false;
    for (const { number, units } of this.#sent) {
      const index = units.indexOf(unit);
      if (index < 0) continue;
      unit.dropped = true;
      if (!stops.giveUp(unitWord(number, index), number)) return false;
      stops.interrupt(unitTicket(number, index));
    }
    return true;
  }

  /** Whether the units up to this number are answered; those that gather do not count `behindTurn`. */
  hasPassed(issued: number, behindTurn: boolean): boolean {
    for (const { units } of this.#sent) {
      for (const unit of units) if (unit.number > 0) return unit.number > issued;
    }
    if (behindTurn) return true;
    const queued = this.#gathering[0];
    return queued === undefined || queued.number > issued;
  }

  /** Whether a unit up to this number gathers. */
  gathers(upTo: number): boolean {
    const oldest = this.#gathering[0];
    return (oldest !== undefined && oldest.number <= upTo) || this.guests.queued > 0;
  }

  /** The command that sends the next group: of the units up to this number, which must be some. */
  next(thread: Line, upTo: number): Command {
    const all = this.#gathering;
    let most = Math.min(all.length, MOST_UNITS);
    while (most > 0 && (all[most - 1] as Unit).number > upTo) most--;
    if (thread.isRemote) most = fitting(all, most);
    let group = most === all.length ? all : all.slice(0, most);
    if (this.guests.queued > 0) ({ group, own: most } = this.guests.mix(group, MOST_UNITS));
    this.#gathering = most === all.length ? [] : all.slice(most);
    const words: Words = [group.length];
    const answered = this.#client === undefined ? 0 : this.#answered(group);
    for (const unit of group) {
      if (answered > 0 && unit.number > 0) (unit.once as OnceMark).answered = answered;
      if (unit.batch === undefined) thread.introduce(unit.statement);
      else for (const { statement } of unit.batch) thread.introduce(statement);
      unit.push(words);
    }
    this.#number = (this.#number % LAST_NUMBER) + 1;
    this.#sent.push({ number: this.#number, units: group });
    return { type: 'group', early: this.#early, group: this.#number, words };
  }

  /** Up to which number the units of this process are answered, when this group is sent. */
  #answered(group: readonly Unit[]): number {
    for (const units of [...this.#sent.map((sent) => sent.units), group]) {
      for (const { number } of units) if (number > 0) return number - 1;
    }
    return 0;
  }

  /** The units of the oldest group that its answer settles; what it did not run comes again. */
  answered({ ran, microseconds }: Answer & { type: 'group' }, stops: Stops): Unit[] {
    // A pool that closed in haste has answered them already.
    const answered = this.#sent.shift() ?? { number: 0, units: [] };
    const { units: group } = answered;
    forgetDropped(answered, stops);
    if (group.length === 0) return group;
    this.counts.groups++;
    this.counts.writes += ran;
    if (ran > this.counts.largest) this.counts.largest = ran;
    this.microseconds += (microseconds - this.microseconds) / 4;
    if (ran === group.length) return group;
    // It ended early, since its time was up: its rest runs before what was sent behind it, which
    // the thread passes over.
    this.#early++;
    const rest = [...group.slice(ran), ...this.#sent.flatMap(({ units }) => units)];
    for (const sent of this.#sent) {
      forgetDropped(sent, stops);
      sent.units = [];
    }
    for (const { once } of rest) if (once !== undefined) once.sent = once.again === true;
    this.#putBack(rest);
    return group.slice(0, ran);
  }

  /** Takes out what has gathered since before `moment`. */
  takeLate(moment: number): Unit[] {
    const late = this.#gathering.filter((unit) => unit.since <= moment);
    if (late.length > 0) this.#gathering = this.#gathering.filter((unit) => unit.since > moment);
    if (this.guests.queued > 0) late.push(...this.guests.takeLate(moment));
    return late;
  }

  /** Takes out all that no thread has. */
  takeQueued(): Unit[] {
    const units = this.#gathering;
    this.#gathering = [];
    return [...units, ...this.guests.takeAll()];
  }

  /** Settles what the thread has and will not answer. */
  rejectSent(error: Error): void {
    const units = this.#sent.splice(0).flatMap((group) => group.units);
    for (const unit of units) unit.settle(error);
  }

  /**
   * The thread died: the units of the group that it ran. It had not begun the second, since it
   * runs the first to its answer, so that one gathers again. Where another process had them, nobody
   * knows what it began: `all` of them.
   */
  lost(all: boolean): Unit[] {
    const sent = this.#sent.splice(0).map(({ units }) => units);
    const [running, ...behind] = sent.filter((units) => units.length > 0);
    this.#early = 0;
    const lost = all ? [...(running ?? []), ...behind.flat()] : (running ?? []);
    // Those are sent again that the ledger remembers: it tells which of them were done.
    const again = lost.filter((unit) => unit.once !== undefined);
    for (const { once } of again) if (once !== undefined) once.again = true;
    this.#putBack(all ? again : [...again, ...behind.flat()]);
    return again.length === 0 ? lost : lost.filter((unit) => unit.once === undefined);
  }

  /** Lets units gather again, ahead of all others. */
  #putBack(all: Unit[]): void {
    const units = all.filter((unit) => !unit.dropped);
    for (const unit of all) if (unit.dropped) unit.drop();
    const own = units.filter((unit) => unit.number > 0);
    this.#gathering = [...own, ...this.#gathering];
    if (own.length < units.length) this.guests.putBack(units);
  }
}

/** How many of the first `most` units travel together. */
function fitting(units: readonly Unit[], most: number): number {
  let bytes = 0;
  for (let i = 0; i < most; i++) {
    bytes += (units[i] as Unit).bytes;
    if (bytes > MOST_BYTES) return Math.max(1, i);
  }
  return most;
}
