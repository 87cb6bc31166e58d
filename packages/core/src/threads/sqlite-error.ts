/** https://sqlite.org/rescode.html, by number; a more exact code is its kind and a part of its own. */
const KINDS: Readonly<Record<number, string>> = {
  0: 'SQLITE_OK',
  1: 'SQLITE_ERROR',
  2: 'SQLITE_INTERNAL',
  3: 'SQLITE_PERM',
  4: 'SQLITE_ABORT',
  5: 'SQLITE_BUSY',
  6: 'SQLITE_LOCKED',
  7: 'SQLITE_NOMEM',
  8: 'SQLITE_READONLY',
  9: 'SQLITE_INTERRUPT',
  10: 'SQLITE_IOERR',
  11: 'SQLITE_CORRUPT',
  12: 'SQLITE_NOTFOUND',
  13: 'SQLITE_FULL',
  14: 'SQLITE_CANTOPEN',
  15: 'SQLITE_PROTOCOL',
  16: 'SQLITE_EMPTY',
  17: 'SQLITE_SCHEMA',
  18: 'SQLITE_TOOBIG',
  19: 'SQLITE_CONSTRAINT',
  20: 'SQLITE_MISMATCH',
  21: 'SQLITE_MISUSE',
  22: 'SQLITE_NOLFS',
  23: 'SQLITE_AUTH',
  24: 'SQLITE_FORMAT',
  25: 'SQLITE_RANGE',
  26: 'SQLITE_NOTADB',
  27: 'SQLITE_NOTICE',
  28: 'SQLITE_WARNING',
  100: 'SQLITE_ROW',
  101: 'SQLITE_DONE',
};

/** What the second byte of a code adds to its kind, from 1 on; '' for one that better-sqlite3 does not name. */
const PARTS: Readonly<Record<number, string>> = {
  0: 'LOAD_PERMANENTLY SYMLINK',
  1: 'MISSING_COLLSEQ RETRY SNAPSHOT',
  4: '- ROLLBACK',
  5: 'RECOVERY SNAPSHOT',
  6: 'SHAREDCACHE VTAB',
  8: 'RECOVERY CANTLOCK ROLLBACK DBMOVED CANTINIT DIRECTORY',
  10:
    'READ SHORT_READ WRITE FSYNC DIR_FSYNC TRUNCATE FSTAT UNLOCK RDLOCK DELETE BLOCKED NOMEM ACCESS ' +
    'CHECKRESERVEDLOCK LOCK CLOSE DIR_CLOSE SHMOPEN SHMSIZE SHMLOCK SHMMAP SEEK DELETE_NOENT MMAP ' +
    'GETTEMPPATH CONVPATH VNODE AUTH BEGIN_ATOMIC COMMIT_ATOMIC ROLLBACK_ATOMIC DATA CORRUPTFS IN_PAGE',
  11: 'VTAB SEQUENCE INDEX',
  14: 'NOTEMPDIR ISDIR FULLPATH CONVPATH DIRTYWAL SYMLINK',
  19:
    'CHECK COMMITHOOK FOREIGNKEY FUNCTION NOTNULL PRIMARYKEY TRIGGER UNIQUE VTAB ROWID PINNED ' +
    'DATATYPE',
  23: 'USER',
  27: 'RECOVER_WAL RECOVER_ROLLBACK RBU',
  28: 'AUTOINDEX',
};

/** The name of an extended result code, as better-sqlite3 has it. */
export function codeName(code: number): string {
  const kind = KINDS[code & 0xff];
  const more = code >> 8;
  if (kind !== undefined && more === 0) return kind;
  const part = PARTS[code & 0xff]?.split(' ')[more - 1] ?? '-';
  return kind === undefined || part === '-' ? `UNKNOWN_SQLITE_ERROR_${code}` : `${kind}_${part}`;
}

/** Marks a SqliteError of any copy of this package, so that `instanceof` works across them. */
const BRAND = Symbol.for('poolite.SqliteError');

/**
 * SQLite's own errors under `driver: 'node:sqlite'`, with the names, the codes and the messages that
 * better-sqlite3 gives them. Under the default driver they are of better-sqlite3's class
 * (`Database.SqliteError`), so `error.code` is what to look at where both may run. `instanceof`
 * knows those of another copy of this package, too.
 *
 * @example
 * ```ts
 * import { SqliteError } from '@poolite/core';
 *
 * const error: unknown = new SqliteError('UNIQUE constraint failed: t.a', 'SQLITE_CONSTRAINT_UNIQUE');
 * if (error instanceof SqliteError) console.log(error.code); // SQLITE_CONSTRAINT_UNIQUE
 * ```
 */
export class SqliteError extends Error {
  /** The name of SQLite's extended result code: https://sqlite.org/rescode.html */
  readonly code: string;

  /**
   * @param message SQLite's own.
   * @param code the name of its extended result code.
   */
  constructor(message: string, code: string) {
    super(message);
    this.code = code;
  }

  /** Whether a value is one, also of another copy of this package. */
  static override [Symbol.hasInstance](value: unknown): boolean {
    if (typeof value !== 'object' || value === null) return false;
    // A class that extends this one knows its own alone.
    // biome-ignore lint/complexity/noThisInStatic: it is the class on the right of `instanceof`
    return this === SqliteError
      ? BRAND in value
      : // biome-ignore lint/complexity/noThisInStatic: as above
        Function.prototype[Symbol.hasInstance].call(this, value);
  }
}

Object.defineProperty(SqliteError.prototype, 'name', { value: 'SqliteError', configurable: true });
Object.defineProperty(SqliteError.prototype, BRAND, { value: true });
