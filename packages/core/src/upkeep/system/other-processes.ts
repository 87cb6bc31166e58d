import { readFileSync, statSync } from 'node:fs';

/**
 * The bytes of the -shm file that readers lock, one for each read mark but the first, which reads
 * the database file alone. https://sqlite.org/walformat.html#wal_locks
 */
const FIRST_MARK = 124;
const LAST_MARK = 127;

/**
 * The processes that read from the WAL now, by the kernel's list of locks, which only Linux has;
 * undefined where nobody can tell.
 */
export function otherReaders(file: string): number[] | undefined {
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
