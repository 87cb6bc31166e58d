import { execFile } from 'node:child_process';
import { readdirSync, readFileSync, readlinkSync, statSync } from 'node:fs';
import { promisify } from 'node:util';

/** A process that has a database file open, or its -wal or -shm. */
export interface Holder {
  pid: number;
  /** Its command line, shortened; `''` where it may not be seen. */
  command: string;
  /** Which of the files. */
  files: string[];
}

export interface Holders {
  holders: Holder[];
  /** Whether all processes could be looked at; where not, others may have it open as well. */
  complete: boolean;
}

const SUFFIXES = ['', '-wal', '-shm', '-journal'];
const MOST_COMMAND = 100;

/** Who has the file open, this process not counted. */
export async function holdersOf(realPath: string): Promise<Holders> {
  const files = SUFFIXES.map((suffix) => `${realPath}${suffix}`);
  return process.platform === 'linux' ? byProc(files) : byLsof(files);
}

function byProc(files: readonly string[]): Holders {
  const found = new Map<number, Set<string>>();
  let complete = true;
  for (const name of readdirSync('/proc')) {
    const pid = Number(name);
    if (!Number.isInteger(pid) || pid === process.pid) continue;
    const open = openFiles(pid);
    if (open === 'hidden') complete = false;
    else for (const file of open) if (files.includes(file)) add(found, pid, file);
  }
  // Of a process that hides its files, its locks are there for everybody to see.
  for (const { pid, file } of locks(files)) if (pid !== process.pid) add(found, pid, file);
  const holders = [...found].map(([pid, open]) => ({
    pid,
    command: command(pid),
    files: [...open],
  }));
  return { holders: holders.sort((a, b) => a.pid - b.pid), complete };
}

function add(found: Map<number, Set<string>>, pid: number, file: string): void {
  const files = found.get(pid) ?? new Set();
  found.set(pid, files.add(file));
}

function openFiles(pid: number): string[] | 'hidden' {
  const folder = `/proc/${pid}/fd`;
  let names: string[];
  try {
    names = readdirSync(folder);
  } catch (error) {
    // A process that has ended has nothing open.
    return ['EACCES', 'EPERM'].includes((error as NodeJS.ErrnoException).code ?? '')
      ? 'hidden'
      : [];
  }
  return names.flatMap((name) => {
    try {
      return [readlinkSync(`${folder}/${name}`)];
    } catch {
      // It has been closed meanwhile.
      return [];
    }
  });
}

/** The processes that have locks on the files: https://man7.org/linux/man-pages/man5/proc_locks.5.html */
function locks(files: readonly string[]): { pid: number; file: string }[] {
  const byInode = new Map<string, string>();
  for (const file of files) {
    const stats = statSync(file, { throwIfNoEntry: false });
    if (stats !== undefined) byInode.set(place(stats.dev, stats.ino), file);
  }
  let text: string;
  try {
    text = readFileSync('/proc/locks', 'latin1');
  } catch {
    return [];
  }
  return text.split('\n').flatMap((line) => {
    // 1: POSIX  ADVISORY  READ 1234 fd:00:5678 124 124
    const [, kind, , , pid, at = ''] = line.trim().split(/\s+/);
    const file = byInode.get(at);
    return kind === 'POSIX' && file !== undefined && Number(pid) > 0
      ? [{ pid: Number(pid), file }]
      : [];
  });
}

/** A device and an inode as the kernel writes them. */
function place(dev: number, ino: number): string {
  const major = Math.floor(dev / 256) % 4096;
  const minor = (dev % 256) + Math.floor(dev / 0x100000) * 256;
  return `${[major, minor].map((each) => each.toString(16).padStart(2, '0')).join(':')}:${ino}`;
}

function command(pid: number): string {
  try {
    const words = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0').join(' ').trim();
    return shorten(words === '' ? readFileSync(`/proc/${pid}/comm`, 'utf8').trim() : words);
  } catch {
    return '';
  }
}

function shorten(text: string): string {
  const line = text.replace(/\s+/g, ' ');
  return line.length > MOST_COMMAND ? `${line.slice(0, MOST_COMMAND)}…` : line;
}

/** By `lsof`, which macOS has, and others may have. */
async function byLsof(files: readonly string[]): Promise<Holders> {
  const there = files.filter((file) => statSync(file, { throwIfNoEntry: false }) !== undefined);
  let text: string;
  try {
    ({ stdout: text } = await promisify(execFile)('lsof', ['-F', 'pcn', '--', ...there]));
  } catch (error) {
    // It ends with 1 where nobody has them open, and with its error where it is not installed.
    const { code } = error as { code?: number | string };
    return { holders: [], complete: code === 1 };
  }
  const holders: Holder[] = [];
  for (const line of text.split('\n')) {
    const value = line.slice(1);
    const last = holders.at(-1);
    if (line.startsWith('p')) holders.push({ pid: Number(value), command: '', files: [] });
    else if (line.startsWith('c') && last !== undefined) last.command = value;
    else if (line.startsWith('n') && last?.files.includes(value) === false) last.files.push(value);
  }
  return { holders: holders.filter(({ pid }) => pid !== process.pid), complete: true };
}
