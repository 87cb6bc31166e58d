import { endianness } from 'node:os';
import { firstBytes, sizeOf } from '../database-file.js';

/** What is in the WAL of a database. */
export interface WalState {
  bytes: number;
  /** Pages that were written to it and not overwritten since; undefined where nobody keeps count. */
  pages: number | undefined;
  /** Of those, pages that are in the database file as well. */
  checkpointed: number | undefined;
}

/** Where the -shm file begins with a header, with 1 at this place, somebody has filled it in. */
const IS_INIT = 12;
const LAST_FRAME = 16;
const CHECKPOINTED = 96;

/**
 * The state of the WAL; undefined where there is none. What it holds is counted in the -shm file:
 * https://sqlite.org/walformat.html#the_wal_index_file_format. This must happen before SQLite opens
 * the file in this process, for it ends the locks of this process.
 */
export function walState(realPath: string): WalState | undefined {
  const bytes = sizeOf(`${realPath}-wal`);
  if (bytes === undefined) return undefined;
  if (bytes === 0) return { bytes, pages: 0, checkpointed: 0 };
  const none = { bytes, pages: undefined, checkpointed: undefined };
  if (sizeOf(`${realPath}-shm`) === undefined) return none;
  const index = firstBytes(`${realPath}-shm`, 136);
  if (index.length < 136 || index[IS_INIT] !== 1) return none;
  const read = (at: number) =>
    endianness() === 'LE' ? index.readUInt32LE(at) : index.readUInt32BE(at);
  return { bytes, pages: read(LAST_FRAME), checkpointed: read(CHECKPOINTED) };
}
