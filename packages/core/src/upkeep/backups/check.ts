import { closeSync, openSync, readSync, statSync } from 'node:fs';
import { PoolError } from '../../errors.js';
import { Connection, type ConnectionOptions, type Setup } from '../../threads/connection.js';
import type { BackupVerdict, BackupVerify } from './options.js';

/** The most lines that tell what was found. */
const MOST = 20;
const MAGIC = 'SQLite format 3\0';

/**
 * The first bytes of a file. Never of one that SQLite may have open in this process: closing it
 * would drop the process's locks on it. https://sqlite.org/howtocorrupt.html#_posix_advisory_locks_canceled_by_a_separate_thread_doing_close_
 */
export function firstBytes(file: string, length: number): Buffer {
  const fd = openSync(file, 'r');
  try {
    const bytes = Buffer.alloc(length);
    return bytes.subarray(0, readSync(fd, bytes, 0, length, 0));
  } finally {
    closeSync(fd);
  }
}

/**
 * The pages of a database file, by its header; messages call it `name`.
 * https://sqlite.org/fileformat2.html#the_database_header
 */
export function pagesOf(file: string, name = file): { pages: number; pageSize: number } {
  const { size } = statSync(file);
  if (size === 0) return { pages: 0, pageSize: 4096 };
  const header = firstBytes(file, 100);
  if (header.length < 100 || header.toString('latin1', 0, 16) !== MAGIC) {
    throw new PoolError('POOL_BACKUP', `${name} is not an SQLite database, or is encrypted`);
  }
  const pageSize = header.readUInt16BE(16) === 1 ? 65_536 : header.readUInt16BE(16);
  const pages = header.readUInt32BE(28);
  if (size !== pages * pageSize) {
    throw new PoolError(
      'POOL_BACKUP',
      `${name} is damaged: it has ${size} bytes, and by its header ${pages} pages of ${pageSize}`,
    );
  }
  return { pages, pageSize };
}

export interface Found {
  verdict: BackupVerdict;
  problems: string[];
}

interface Violation {
  table: string;
  rowid: number | bigint | null;
  parent: string;
}

/** Checks a database file that nobody else has open. */
export function checkFile(
  options: ConnectionOptions,
  setup: Setup | undefined,
  file: string,
  verify: BackupVerify,
): Found {
  if (verify === false) return { verdict: 'unverified', problems: [] };
  // SQLite takes it for a database without tables, but a backup has a page at least.
  if (statSync(file).size === 0) return { verdict: 'damaged', problems: ['it is empty'] };
  let connection: Connection | undefined;
  try {
    connection = new Connection({ ...options, file, readonly: true }, 'read', 5000);
    connection.configure(setup);
    const pragma = verify === 'full' ? 'integrity_check' : 'quick_check';
    const rows = connection.pragma(`${pragma}(${MOST})`) as Record<string, string>[];
    const lines = rows.map((row) => String(Object.values(row)[0]));
    if (lines.join() !== 'ok') return { verdict: 'damaged', problems: lines };
    const missing = violations(connection);
    return { verdict: missing.length === 0 ? 'ok' : 'foreign-keys', problems: missing };
  } catch (error) {
    const { code = '', message } = error as { code?: string; message: string };
    if (!/^SQLITE_(CORRUPT|NOTADB)/.test(code)) throw error;
    return { verdict: 'damaged', problems: [message] };
  } finally {
    connection?.close();
  }
}

function violations(connection: Connection): string[] {
  const statement = connection.db.prepare('PRAGMA foreign_key_check');
  const found: string[] = [];
  for (const row of statement.iterate([])) {
    const { table, rowid, parent } = row as Violation;
    found.push(`row ${rowid} of ${table} refers to a row of ${parent} that is not there`);
    if (found.length === MOST) break;
  }
  return found;
}
