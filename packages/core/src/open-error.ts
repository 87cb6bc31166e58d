import { existsSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import type { ResolvedOptions } from './options.js';
import { errorOf } from './threads/failure.js';
import type { Failure } from './threads/protocol.js';

/** What stands in the way of opening a file, and how to get it out of it. */
function reason(file: string, readonly: boolean, code: string): string | undefined {
  if (file.startsWith('file:')) return undefined;
  const folder = dirname(file);
  if (!existsSync(folder)) return `the folder ${folder} does not exist: create it first`;
  if (!existsSync(file)) return readonly ? 'there is no such file to read' : undefined;
  if (statSync(file).isDirectory()) return 'it is a directory';
  if (code.startsWith('SQLITE_READONLY')) {
    return "the file cannot be written: make it writable, or open it with the option 'readonly'";
  }
  if (code === 'SQLITE_NOTADB') {
    return 'the file is not an SQLite database, or is encrypted';
  }
  return undefined;
}

/** The error of a database that cannot be opened: SQLite's own, with the file and the way out. */
export function openError(failure: Failure, options: ResolvedOptions): Error {
  const { file, readonly, driver } = options.connection;
  // better-sqlite3 finds a missing folder itself, and throws a TypeError.
  const missing = failure.name === 'TypeError' && failure.message.includes('directory');
  const code = failure.code ?? (missing ? 'SQLITE_CANTOPEN' : undefined);
  const why = code === undefined ? undefined : reason(file, readonly, code);
  const message = `cannot open ${JSON.stringify(file)}: ${why ?? failure.message}${
    why === undefined || missing ? '' : ` (${failure.message})`
  }`;
  return errorOf(
    code === undefined ? { ...failure, message } : { ...failure, message, code },
    driver,
  );
}
