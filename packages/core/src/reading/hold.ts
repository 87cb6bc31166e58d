import { type Statement, UNKNOWN_MICROSECONDS } from '../statements/catalogue.js';

/** Reads that usually take longer, in microseconds, are held before the others are. */
const SLOW = 5000;

/** Which new reads are held: none; those that may be slow, and connections of one's own; all. */
export type HoldLevel = 'none' | 'slow' | 'all';

/**
 * Keeps new reads from beginning, for the moment that a checkpoint needs to empty the WAL:
 * https://sqlite.org/wal.html#avoiding_excessively_large_wal_files
 */
export class Hold {
  level: HoldLevel = 'none';
  #opened: Promise<void> | undefined;
  #open: () => void = () => {};
  #keepAlive: NodeJS.Timeout | undefined;

  get isOn(): boolean {
    return this.level !== 'none';
  }

  /** Whether a new read of this statement must wait. */
  keeps(statement: Statement): boolean {
    if (this.level === 'all') return true;
    return this.level === 'slow' && maybeSlow(statement);
  }

  /** Resolves when the hold is over. Keeps the process alive: somebody waits. */
  over(): Promise<void> {
    if (!this.isOn) return Promise.resolve();
    this.#opened ??= new Promise((resolve) => {
      this.#open = resolve;
      this.#keepAlive = setInterval(() => {}, 2 ** 30);
    });
    return this.#opened;
  }

  release(): void {
    this.level = 'none';
    clearInterval(this.#keepAlive);
    this.#keepAlive = undefined;
    this.#opened = undefined;
    this.#open();
  }
}

export function maybeSlow({ microseconds }: Statement): boolean {
  return microseconds > SLOW || microseconds === UNKNOWN_MICROSECONDS;
}
