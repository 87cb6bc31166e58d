import { closeSync, openSync, readSync, type Stats, statSync } from 'node:fs';
import { CliError, ExitCode } from './exit.js';

/** The first bytes of a database file, as https://sqlite.org/fileformat.html#the_database_header has them. */
export interface Header {
  pageSize: number;
  journal: 'wal' | 'rollback';
  /** Pages of the database, as the header has it; 0 where a program before 3.7.0 wrote it. */
  pages: number;
  freePages: number;
  /** The version of SQLite that wrote last: `3.54.0`. */
  writtenBy: string;
}

export interface DatabaseFile {
  readonly path: string;
  readonly stats: Stats;
  /** Undefined for an empty file, which is a database without tables. */
  readonly header: Header | undefined;
}

const MAGIC = 'SQLite format 3\0';

/**
 * Looks at a database file before SQLite does. It must happen before: closing any handle of a file
 * drops the locks that SQLite has on it in this process. https://sqlite.org/howtocorrupt.html
 */
export function lookAt(path: string): DatabaseFile {
  let stats: Stats;
  let head: Buffer;
  try {
    stats = statSync(path);
    if (stats.isDirectory()) {
      throw new CliError('NOT_A_FILE', `${path} is a directory: name the database file in it`);
    }
    if (!stats.isFile()) throw new CliError('NOT_A_FILE', `${path} is no regular file`);
    head = firstBytes(path, 100);
  } catch (error) {
    throw fileError(path, error);
  }
  if (stats.size === 0) return { path, stats, header: undefined };
  if (head.length >= 100 && head.toString('latin1', 0, 16) === MAGIC) {
    return { path, stats, header: parse(head) };
  }
  const compressed = compression(head);
  if (compressed !== undefined) {
    throw new CompressedFile(path, compressed);
  }
  const why = head.toString('latin1', 0, 16) === MAGIC ? CUT_OFF : OTHER_BYTES;
  throw new CliError('NOT_A_DATABASE', `${path} is no SQLite database: ${why}`, ExitCode.found);
}

const CUT_OFF = 'it ends within its header';
const OTHER_BYTES = 'it begins with other bytes (it may be encrypted, or damaged)';

/** The error of a file that may be a backup: some commands can do with one. */
export class CompressedFile extends CliError {
  constructor(path: string, how: string) {
    const help = '`poolite verify` looks a backup through, `poolite restore` unpacks it';
    super('COMPRESSED', `${path} is compressed with ${how}: ${help}`, ExitCode.found);
  }
}

/** https://www.rfc-editor.org/rfc/rfc1952 and https://www.rfc-editor.org/rfc/rfc8878 */
function compression(head: Buffer): 'gzip' | 'zstd' | undefined {
  if (head.length < 4) return undefined;
  if (head.readUInt16BE(0) === 0x1f8b) return 'gzip';
  return head.readUInt32BE(0) === 0x28b52ffd ? 'zstd' : undefined;
}

function fileError(path: string, error: unknown): unknown {
  switch ((error as NodeJS.ErrnoException).code) {
    case 'ENOENT':
    case 'ENOTDIR':
      return new CliError('NOT_FOUND', `there is no file ${path}`);
    case 'EACCES':
    case 'EPERM':
      return new CliError('NO_ACCESS', `${path} may not be read by this user`);
    default:
      return error;
  }
}

export function firstBytes(path: string, length: number): Buffer {
  const file = openSync(path, 'r');
  try {
    const buffer = Buffer.alloc(length);
    return buffer.subarray(0, readSync(file, buffer, 0, length, 0));
  } finally {
    closeSync(file);
  }
}

function parse(head: Buffer): Header {
  const size = head.readUInt16BE(16);
  const version = head.readUInt32BE(96);
  return {
    pageSize: size === 1 ? 65_536 : size,
    journal: head[18] === 2 || head[19] === 2 ? 'wal' : 'rollback',
    pages: head.readUInt32BE(28),
    freePages: head.readUInt32BE(36),
    writtenBy: `${Math.floor(version / 1e6)}.${Math.floor(version / 1000) % 1000}.${version % 1000}`,
  };
}

/** The size of a file; undefined where there is none. */
export function sizeOf(path: string): number | undefined {
  return statSync(path, { throwIfNoEntry: false })?.size;
}
