import { bytes, count, percent, plural } from '../format.js';
import { isSound } from '../integrity.js';
import type { Facts } from './facts.js';

/**
 * `ok`: as it should be. `note`: worth knowing. `warn`: better changed. `fail`: data are damaged, or
 * in danger.
 */
export type Status = 'ok' | 'note' | 'warn' | 'fail';

export interface Finding {
  check: string;
  status: Status;
  /** What was found. */
  message: string;
  /** What to do about it, and why. */
  advice?: string;
}

/** A rule looks at the facts, and says what it makes of them; nothing where it does not apply. */
type Rule = (facts: Facts) => Omit<Finding, 'check'> | undefined;

const MB = 1e6;
const LARGE_WAL = 64 * MB;
/** Before it, two connections that write and checkpoint can corrupt a database in WAL mode. */
const SOUND_WAL = [3, 51, 3];

function ok(message: string): Omit<Finding, 'check'> {
  return { status: 'ok', message };
}

function older(version: string, than: readonly number[]): boolean {
  const parts = version.split('.').map(Number);
  for (const [i, least] of than.entries()) {
    if (parts[i] !== least) return (parts[i] ?? 0) < least;
  }
  return false;
}

const RULES: Readonly<Record<string, Rule>> = {
  file: ({ bytes: size, header, isLink, realPath, wal }) => {
    const where = isLink ? `a link to ${realPath}, ` : '';
    if (header === undefined) return { status: 'note', message: `${where}empty: no database yet` };
    const missing = header.pages * header.pageSize - size;
    // What is in the WAL need not be in the file yet.
    if (missing > 0 && (wal === undefined || wal.bytes === 0)) {
      return {
        status: 'fail',
        message: `${bytes(missing)} short: its header counts ${plural(header.pages, 'page')}`,
        advice: 'It was cut off, by an incomplete copy or a full disk: restore a backup.',
      };
    }
    return ok(
      `${where}${bytes(size)}, ${plural(header.pages, 'page')} of ${count(header.pageSize)} bytes`,
    );
  },

  links: ({ hardLinks }) =>
    hardLinks === 1
      ? undefined
      : {
          status: 'fail',
          message: `the file has ${count(hardLinks)} names (hard links)`,
          advice:
            'Each name has a -wal of its own, and whoever opens another name does not see it, which ' +
            'corrupts the database: remove the other names. ' +
            'https://sqlite.org/howtocorrupt.html#_multiple_links_to_the_same_file',
        },

  permissions: ({ mode, writable, folderWritable }) => {
    const octal = mode.toString(8).padStart(4, '0');
    if ((mode & 0o002) !== 0) {
      return {
        status: 'warn',
        message: `everybody on this machine may write to it (mode ${octal})`,
        advice: 'Take that away: chmod o-w FILE.',
      };
    }
    if (!writable)
      return { status: 'note', message: `this user may not write to it (mode ${octal})` };
    if (!folderWritable) {
      return {
        status: 'warn',
        message: 'this user may write to the file, but not to its folder',
        advice: 'SQLite makes the -wal and -shm files there, and needs to write to the folder.',
      };
    }
    return ok(`mode ${octal}`);
  },

  'file system': ({ fileSystem: { kind, nature } }) => {
    switch (nature) {
      case 'network':
        return {
          status: 'fail',
          message: `${kind}: a network file system`,
          advice:
            'WAL mode needs shared memory, and locks that hold, which a network does not give: move ' +
            'the file to a disk of this machine. https://sqlite.org/wal.html',
        };
      case 'shared':
        return {
          status: 'warn',
          message: `${kind}: perhaps shared with another machine, or with the host`,
          advice:
            'Where programs on both sides open the file, it will be corrupted; and locks or a flush ' +
            'may not hold. A disk of this machine is safe.',
        };
      case 'memory':
        return {
          status: 'warn',
          message: `${kind}: in memory`,
          advice: 'The database is gone when the machine restarts.',
        };
      default:
        return ok(nature === 'unknown' ? 'of a kind that is not known here' : kind);
    }
  },

  space: ({ fileSystem: { freeBytes, totalBytes }, bytes: size, wal }) => {
    const message = `${bytes(freeBytes)} free (${percent(freeBytes, totalBytes)})`;
    const needed = size + (wal?.bytes ?? 0);
    if (freeBytes < 10 * MB) {
      return { status: 'fail', message, advice: 'Writes will fail soon: make room on the disk.' };
    }
    if (freeBytes < needed) {
      return {
        status: 'warn',
        message,
        advice: `A backup beside it, or VACUUM, needs ${bytes(needed)}: make room on the disk.`,
      };
    }
    return ok(message);
  },

  journal: ({ header, journalBytes = 0, wal }) => {
    if (header === undefined) return undefined;
    if (journalBytes > 0) {
      return {
        status: 'warn',
        message: `a rollback journal of ${bytes(journalBytes)} is beside it`,
        advice:
          'A transaction is under way, or its process died: then the next opening undoes it. Never ' +
          'delete or move that file by itself.',
      };
    }
    if (header.journal === 'wal') return ok('WAL mode');
    if (wal !== undefined && wal.bytes > 0) {
      return {
        status: 'warn',
        message: 'a -wal file is beside a database that is not in WAL mode',
        advice:
          'It belongs to another copy of the file: see where it comes from before anybody opens it.',
      };
    }
    return {
      status: 'note',
      message: 'not in WAL mode: readers and the writer wait for each other',
      advice: 'A pool sets WAL mode when it opens the file; by hand: PRAGMA journal_mode = WAL.',
    };
  },

  WAL: ({ header, wal, holders }) => {
    if (header?.journal !== 'wal') return undefined;
    if (wal === undefined || wal.bytes === 0) return ok('empty');
    const { pages, checkpointed } = wal;
    const waiting =
      pages === undefined ? '' : `, ${plural(pages - (checkpointed ?? 0), 'page')} to move`;
    const message = `${bytes(wal.bytes)}${waiting}`;
    if (holders.holders.length === 0 && holders.complete) {
      return {
        status: 'note',
        message: `${message}, left by a process that ended without closing`,
        advice:
          'Nothing is lost: the next opening takes it in. Never delete the -wal file, and copy it ' +
          'with the database, or use `poolite backup`.',
      };
    }
    if (wal.bytes > LARGE_WAL) {
      return {
        status: 'warn',
        message,
        advice:
          'Reads become slow, and the disk fills: a long transaction or a reader keeps it from being ' +
          'emptied. See who has it open, end that, then `poolite checkpoint FILE --mode TRUNCATE`.',
      };
    }
    return ok(message);
  },

  integrity: ({ integrity, unreadable }) => {
    if (unreadable !== undefined) {
      const busy = /^SQLITE_(BUSY|LOCKED)/.test(unreadable.code);
      return {
        status: busy ? 'warn' : 'fail',
        message: `cannot be read: ${unreadable.message} (${unreadable.code})`,
        advice: busy
          ? 'Somebody has locked the whole file: see who has it open, and try again.'
          : 'Keep a copy of all its files as they are, then restore a backup; `.recover` of the ' +
            'sqlite3 shell saves what can be saved. https://sqlite.org/recovery.html',
      };
    }
    if (integrity === undefined) return undefined;
    const { problems, check } = integrity;
    if (problems.length === 0) return ok(`sound (${check} check)`);
    const more = problems.length > 1 ? `, and ${plural(problems.length - 1, 'other problem')}` : '';
    return {
      status: 'fail',
      message: `damaged: ${problems[0]}${more}`,
      advice:
        'Keep a copy of all its files as they are, then restore a backup. Where only indexes are ' +
        'wrong, REINDEX mends them. https://sqlite.org/recovery.html',
    };
  },

  'foreign keys': ({ integrity, unindexedKeys: [first, ...others] }) => {
    if (integrity !== undefined && integrity.orphanCount > 0) {
      return {
        status: 'fail',
        message: `${plural(integrity.orphanCount, 'row')} without a parent`,
        advice:
          'Rows were written while foreign keys were off: find them with `poolite verify FILE`. A ' +
          'pool enforces foreign keys.',
      };
    }
    if (first !== undefined) {
      const { table, columns, parent } = first;
      const names = columns.map((name) => `"${name}"`).join(', ');
      const more = others.length === 0 ? '' : `, and of ${plural(others.length, 'other key')}`;
      return {
        status: 'note',
        message: `no index of ${table} (${columns.join(', ')}), which refers to ${parent}${more}`,
        advice:
          `Each change of ${parent} reads all of ${table}: CREATE INDEX "${table}_${columns.join('_')}" ` +
          `ON "${table}" (${names}). https://sqlite.org/foreignkeys.html#fk_indexes`,
      };
    }
    return integrity === undefined ? undefined : ok('every one leads somewhere');
  },

  'page size': ({ pragmas }) => {
    if (pragmas === undefined || pragmas.page_size >= 4096) return undefined;
    return {
      status: 'note',
      message: `${pragmas.page_size} bytes, where 4096 is usual`,
      advice:
        'Larger pages make most work faster: PRAGMA page_size = 4096 and VACUUM, not in WAL mode.',
    };
  },

  'free pages': ({ pragmas }) => {
    if (pragmas === undefined || pragmas.page_count === 0) return undefined;
    const { freelist_count: free, page_count: pages, page_size: size } = pragmas;
    const message = `${plural(free, 'page')}, ${percent(free, pages)} of the file`;
    if (free * 4 < pages || free * size < 10 * MB) return ok(message);
    return {
      status: 'note',
      message,
      advice: `VACUUM would give ${bytes(free * size)} back to the disk; without, they are used again.`,
    };
  },

  statistics: ({ analyzed, indexes }) => {
    if (analyzed !== false || indexes === undefined || indexes === 0) return undefined;
    return {
      status: 'note',
      message: 'the query planner has none',
      advice:
        'Run PRAGMA optimize now and then, which a pool does when it closes; or ANALYZE once.',
    };
  },

  'SQLite version': ({ header, sqliteVersion }) => {
    if (header === undefined) return undefined;
    const message = `written by ${header.writtenBy}, read by ${sqliteVersion ?? 'none'}`;
    if (header.journal !== 'wal' || !older(header.writtenBy, SOUND_WAL)) return ok(message);
    return {
      status: 'warn',
      message,
      advice:
        `Before ${SOUND_WAL.join('.')}, two connections that write and checkpoint at once can corrupt ` +
        'a database in WAL mode: bring the program that writes to it up to date. ' +
        'https://sqlite.org/wal.html#the_wal_reset_bug',
    };
  },

  'open in': ({ holders: { holders, complete }, pools }) => {
    const hidden = complete ? '' : '; there are processes that this user may not look into';
    if (holders.length === 0) return ok(`no process${hidden}`);
    const names = holders.map(({ pid, command }) => `${pid} (${command === '' ? '?' : command})`);
    const watched = new Set(pools.map(({ pid }) => pid)).size;
    const seen = watched === 0 ? '' : `; \`poolite top\` can watch ${count(watched)} of them`;
    return ok(
      `${plural(holders.length, 'process', 'processes')}: ${names.join(', ')}${seen}${hidden}`,
    );
  },
};

/** What the rules make of the facts, in the order in which they are shown. */
export function findings(facts: Facts): Finding[] {
  return Object.entries(RULES).flatMap(([check, rule]) => {
    const finding = rule(facts);
    return finding === undefined ? [] : [{ check, ...finding }];
  });
}

/** Whether the database itself is in order, as far as it was looked at. */
export function isHealthy(facts: Facts): boolean {
  return (
    facts.unreadable === undefined && (facts.integrity === undefined || isSound(facts.integrity))
  );
}
