import { readFileSync, statSync } from 'node:fs';
import type { Pin } from '../../observing/events.js';

/**
 * The bytes of the -shm file that readers lock, one for each read mark. That of the first reads the
 * database file alone, as it was when the WAL was empty: nothing can be moved into it meanwhile.
 * https://sqlite.org/walformat.html#wal_locks
 */
const FIRST_MARK = 123;
const LAST_MARK = 127;

/**
 * The processes that read from the WAL now, by the kernel's list of locks, which only Linux has;
 * undefined where nobody can tell.
 */
function otherReaders(file: string): number[] | undefined {
  let locks: string;
  let inode: number;
  try {
    locks = readFileSync('/proc/locks', 'latin1');
    inode = statSync(`${file}-shm`).ino;
  } catch {
    // Another system, or no file: then nobody can tell, and nobody needs to.
    return undefined;
  }
  const readers = new Set<number>();
  for (const line of locks.split('\n')) {
    // 1: POSIX  ADVISORY  READ 1234 fd:00:5678 124 124
    const [, kind, , , pid, place = '', first, last] = line.trim().split(/\s+/);
    if (kind !== 'POSIX' || Number(place.split(':')[2]) !== inode) continue;
    if (Number(last) < FIRST_MARK || Number(first) > LAST_MARK) continue;
    if (Number(pid) !== process.pid) readers.add(Number(pid));
  }
  return [...readers];
}

/** The other processes that read from the WAL, each with how long this one has known of it. */
export class OtherReaders {
  readonly #file: string;
  #since = new Map<number, number>();

  constructor(file: string) {
    this.#file = file;
  }

  pins(now: number): Pin[] {
    const pids = otherReaders(this.#file) ?? [];
    const since = new Map(pids.map((pid) => [pid, this.#since.get(pid) ?? now]));
    this.#since = since;
    return [...since].map(([pid, first]) => ({
      kind: 'process',
      pid,
      ageMs: now - first,
      openedAt: '',
    }));
  }

  /** None of them is in the way. */
  forget(): void {
    this.#since.clear();
  }
}
