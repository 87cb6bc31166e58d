import { readdirSync, readFileSync, statSync } from 'node:fs';

/** A process that has a file open. */
export interface Opener {
  pid: number;
  command: string;
}

/**
 * The processes that have a file open, as far as Linux shows them to this user: it tells who it is,
 * and finds connections that hold no lock, as those outside WAL mode do between transactions. Other
 * systems have no such list: there SQLite's lock alone tells.
 */
export function openersOf(file: string): Opener[] {
  if (process.platform !== 'linux') return [];
  const { ino, dev } = statSync(file);
  const found: Opener[] = [];
  for (const name of listed('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    const folder = `/proc/${name}/fd`;
    const hasIt = listed(folder).some((fd) => {
      try {
        const stats = statSync(`${folder}/${fd}`);
        return stats.ino === ino && stats.dev === dev;
      } catch {
        // Closed meanwhile, or not a file of this name space.
        return false;
      }
    });
    if (hasIt) found.push({ pid: Number(name), command: commandOf(name) });
  }
  return found;
}

/** What a folder of /proc lists: nothing where the process has ended, or is another user's. */
function listed(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}

function commandOf(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/comm`, 'utf8').trim();
  } catch {
    return '';
  }
}
