import { Outcome, type Words } from '../threads/protocol.js';
import type { ResultDecoder, Shape } from '../threads/result.js';
import { DROPPED, Unit, type UnitStatement } from './unit.js';

/** Another process that has its writes done by this one's writer. */
export class Guest {
  /** Its units that no thread has. */
  units: Unit[] = [];
  /** When it had its last turn, in turns. */
  turnAt = 0;
}

/** What a guest does with its results: they are sent on as they are. */
export interface GuestSettle {
  /** The number of a list of column names at the guest's. */
  rename(shape: Shape): number;
  words(words: Words): void;
  error(error: Error): void;
}

/** A unit of another process. */
export class GuestUnit extends Unit {
  readonly guest: Guest;
  readonly #to: GuestSettle;

  constructor(
    guest: Guest,
    first: UnitStatement,
    batch: readonly UnitStatement[] | undefined,
    to: GuestSettle,
    since: number,
  ) {
    super(first, batch, (error) => to.error(error as Error), since);
    this.guest = guest;
    this.#to = to;
  }

  override drop(): void {
    this.#to.words([Outcome.error, DROPPED]);
  }

  override take(decoder: ResultDecoder): void {
    this.#to.words(decoder.raw((shape) => this.#to.rename(shape)));
  }
}

/** The units of all guests, each of which has its share of every group. */
export class GuestUnits {
  readonly #guests: Guest[] = [];
  #queued = 0;

  get queued(): number {
    return this.#queued;
  }

  get guests(): readonly Guest[] {
    return this.#guests;
  }

  join(): Guest {
    const guest = new Guest();
    this.#guests.push(guest);
    return guest;
  }

  /** The guest has left: what it wanted and no thread has is not done. */
  part(guest: Guest): void {
    const at = this.#guests.indexOf(guest);
    if (at >= 0) this.#guests.splice(at, 1);
    this.#queued -= guest.units.length;
    guest.units = [];
  }

  add(unit: GuestUnit): void {
    unit.guest.units.push(unit);
    this.#queued++;
  }

  /** Takes a unit back that no thread has; false where one has it. */
  cancel(unit: GuestUnit): boolean {
    const { units } = unit.guest;
    const at = units.indexOf(unit);
    if (at < 0) return false;
    units.splice(at, 1);
    this.#queued--;
    return true;
  }

  /** Puts units back that must run before all others of their guests. */
  putBack(units: readonly Unit[]): void {
    for (const unit of [...units].reverse()) {
      if (!(unit instanceof GuestUnit) || !this.#guests.includes(unit.guest)) continue;
      unit.guest.units.unshift(unit);
      this.#queued++;
    }
  }

  /**
   * A group of at most so many units, one of each process in turn, each process's in its order. The
   * number of own ones that are in it comes with it.
   */
  mix(own: readonly Unit[], most: number): { group: Unit[]; own: number } {
    const group: Unit[] = [];
    const lists = [own, ...this.#guests.map((guest) => guest.units)];
    const taken = lists.map(() => 0);
    for (let round = 0, found = true; found && group.length < most; round++) {
      found = false;
      for (let i = 0; i < lists.length && group.length < most; i++) {
        const unit = lists[i]?.[round];
        if (unit === undefined) continue;
        group.push(unit);
        taken[i] = round + 1;
        found = true;
      }
    }
    this.#guests.forEach((guest, i) => {
      guest.units = guest.units.slice(taken[i + 1]);
    });
    // Whoever came last in this group comes first in the next.
    const [first] = this.#guests.splice(0, 1);
    if (first !== undefined) this.#guests.push(first);
    this.#queued -= group.length - (taken[0] as number);
    return { group, own: taken[0] as number };
  }

  /** Takes out what has waited since before `moment`. */
  takeLate(moment: number): Unit[] {
    const late: Unit[] = [];
    for (const guest of this.#guests) {
      late.push(...guest.units.filter((unit) => unit.since <= moment));
      guest.units = guest.units.filter((unit) => unit.since > moment);
    }
    this.#queued -= late.length;
    return late;
  }

  takeAll(): Unit[] {
    return this.takeLate(Number.POSITIVE_INFINITY);
  }
}
