import type { Deadlines } from '../deadlines.js';
import type { Turn } from './turn.js';

/**
 * Those who wait for a turn, first come first served; between processes, whose last turn is the
 * longest ago.
 */
export class WaitingTurns {
  readonly #turns: Turn[] = [];
  /** Where other processes stand: this one's own turns are told from theirs by having no guest. */
  #granted = 0;
  #ownAt = 0;
  readonly #deadlines: Deadlines;
  readonly #late: (turn: Turn, waited: number) => void;

  /** @param late called for a turn that has waited for so many ms, its `acquireTimeout`. */
  constructor(deadlines: Deadlines, late: (turn: Turn, waited: number) => void) {
    this.#deadlines = deadlines;
    this.#late = late;
  }

  get length(): number {
    return this.#turns.length;
  }

  add(turn: Turn): void {
    this.#turns.push(turn);
    const { acquireTimeout } = turn.request;
    if (acquireTimeout === 0) return;
    const asked = performance.now();
    turn.deadline = this.#deadlines.set(acquireTimeout, () => {
      this.#late(turn, performance.now() - asked);
    });
  }

  /** Takes a turn out; false where it is not among those who wait. */
  remove(turn: Turn): boolean {
    const at = this.#turns.indexOf(turn);
    if (at < 0) return false;
    this.#turns.splice(at, 1);
    this.#deadlines.clear(turn.deadline);
    return true;
  }

  /** Those of this process in their order, up to the first of another. */
  *[Symbol.iterator](): Iterator<Turn> {
    for (const turn of this.#turns) {
      if (turn.request.guest !== undefined) return;
      yield turn;
    }
  }

  /** Who is next. */
  get next(): Turn | undefined {
    let [next] = this.#turns;
    if (next === undefined) return undefined;
    for (const turn of this.#turns) if (this.#lastOf(turn) < this.#lastOf(next)) next = turn;
    return next;
  }

  /** One-shot writes that were issued behind a script that waits must not overtake it. */
  get upTo(): number {
    if (this.#turns.length === 0) return Number.POSITIVE_INFINITY;
    return this.#turns.find((turn) => turn.isOneWrite)?.after ?? Number.POSITIVE_INFINITY;
  }

  /** It is granted its turn. */
  grant(turn: Turn): void {
    this.remove(turn);
    this.#granted++;
    const { guest } = turn.request;
    if (guest === undefined) this.#ownAt = this.#granted;
    else guest.turnAt = this.#granted;
  }

  takeAll(): Turn[] {
    for (const turn of this.#turns) this.#deadlines.clear(turn.deadline);
    return this.#turns.splice(0);
  }

  #lastOf({ request }: Turn): number {
    return request.guest === undefined ? this.#ownAt : request.guest.turnAt;
  }
}
