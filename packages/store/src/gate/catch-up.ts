import type { DatabaseSync } from 'node:sqlite';
import type { Entry } from '../entry.js';
import type { Answer, Position, Question } from '../questions.js';
import { Applier, Unfit } from './applier.js';
import { storeError } from './gate-error.js';
import { newerThan } from './sqlite-version.js';

/** How often the file is replaced before the replica gives up: the log itself must be wrong then. */
const MOST_QUARANTINES = 3;

/** What catching up needs of the gate. */
export interface Follower {
  ask(question: Question): Answer;
  /** Opens the connection that applies entries. */
  open(): DatabaseSync;
  /** Reads the position from the file. */
  position(): Position;
  /** Throws where the file must not be changed by others' entries. */
  check(): void;
}

/** Brings the file up to what others have committed. */
export class CatchUp {
  readonly #follower: Follower;
  #applier: Applier | undefined;
  #quarantines = 0;

  constructor(follower: Follower) {
    this.#follower = follower;
  }

  /** Another connection to the file, which sees what is committed. */
  get db(): DatabaseSync {
    return this.#applierOf().db;
  }

  /**
   * Applies all there is behind the position.
   *
   * @param attempt of the proposal that was beaten; 0 where there was none.
   * @returns whether that may be tried again.
   * @throws where the replica cannot go on from where it is.
   */
  run(attempt: number): boolean {
    this.#quarantines = 0;
    for (;;) {
      const answer = this.#follower.ask({
        type: 'catchUp',
        position: this.#follower.position(),
        attempt,
      });
      if (answer.type === 'restored') {
        // What comes next was collected: the file was replaced by what is behind it.
        this.#applier?.replaced();
        continue;
      }
      if (answer.type !== 'entries') throw unexpected('catchUp', answer);
      if (this.take(answer.entries) && !answer.more) return answer.again;
    }
  }

  /** Applies entries; false where the file was replaced meanwhile, and what is behind it must be asked for. */
  take(entries: readonly Entry[]): boolean {
    for (const entry of entries) if (!this.#take(entry)) return false;
    return true;
  }

  close(): void {
    this.#applier?.db.close();
    this.#applier = undefined;
  }

  #take(entry: Entry): boolean {
    const { number } = this.#follower.position();
    if (entry.number <= number) return true;
    this.#follower.check();
    if (newerThan(entry.sqlite, process.versions.sqlite ?? '')) {
      throw storeError(
        'POOL_STORE',
        `entry ${entry.number} was written by a machine with SQLite ${entry.sqlite}, and this one has ` +
          `${process.versions.sqlite}: let all machines have the same version of Node.js`,
      );
    }
    const [part] = entry.parts;
    if (part?.type === 'snapshot') {
      this.#replace({ type: 'restore', position: positionOf(entry), snapshot: part.bytes });
      return false;
    }
    try {
      this.#applierOf().apply(entry);
      return true;
    } catch (error) {
      if (!(error instanceof Unfit)) throw error;
      this.#quarantine(error);
      return false;
    }
  }

  #quarantine(why: Unfit): void {
    if (++this.#quarantines > MOST_QUARANTINES) {
      throw storeError(
        'POOL_STORE',
        `the replica was replaced ${MOST_QUARANTINES} times, and still: ${why.message}`,
        why,
      );
    }
    const position = this.#follower.position();
    this.#replace({ type: 'quarantine', position, reason: why.message });
  }

  #replace(question: Question & { type: 'quarantine' | 'restore' }): void {
    const { position, ask } = this.#follower;
    const before = position();
    const answer = ask(question);
    if (answer.type !== 'restored') throw unexpected(question.type, answer);
    this.#applier?.replaced();
    const after = position();
    if (question.type === 'restore' && after.number < question.position.number) {
      throw storeError(
        'POOL_STORE',
        `the replica is at entry ${after.number} after entry ${question.position.number} was put in its place, ` +
          `as it was at ${before.number} before`,
      );
    }
  }

  #applierOf(): Applier {
    this.#applier ??= new Applier(this.#follower.open());
    return this.#applier;
  }
}

/** What a replica says that cannot be: its own failures are handled where it is asked. */
export function unexpected(question: string, answer: Answer): Error {
  return storeError('POOL_STORE', `the replica answered '${answer.type}' to '${question}'`);
}

function positionOf({ number, token }: Entry): Position {
  return { number, token };
}
