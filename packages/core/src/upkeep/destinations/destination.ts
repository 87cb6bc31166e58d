import { createHash } from 'node:crypto';
import { open } from 'node:fs/promises';
import { PoolError } from '../../errors.js';

/** How far a backup has been copied to its destination. */
export interface TransferProgress {
  /** The size of the backup, in bytes. */
  totalBytes: number;
  /** Bytes of it that were copied. */
  doneBytes: number;
}

/** What moves a backup may be given. */
export interface TransferOptions {
  signal?: AbortSignal | undefined;
  onProgress?: ((progress: TransferProgress) => void) | undefined;
}

/** A backup at its destination. */
export interface StoredBackup {
  /** Its name: `backup_YYYYMMDD_HHMMSS.sqlite`, and what its compression adds. */
  name: string;
  /** Where it is: a path, or a URL that `restoreBackup` takes. */
  location: string;
  /** Its size, in bytes. */
  bytes: number;
  /** When it was stored. */
  storedAt: Date;
}

/** A place where backups are kept. */
export interface BackupDestination {
  /** Where that is, as messages show it. */
  readonly where: string;
  /** Where a backup of this name is: a path, or a URL that `restoreBackup` takes. */
  locationOf(name: string): string;
  /** Stores a file under a name, whole or not at all, and makes sure that it arrived as it is. */
  put(file: string, name: string, options?: TransferOptions): Promise<StoredBackup>;
  /** The backups that are there, the oldest first; what else is there is left out. */
  list(): Promise<StoredBackup[]>;
  /** Brings one back into a file, and makes sure that it is what was stored. */
  get(name: string, file: string, options?: TransferOptions): Promise<void>;
  remove(name: string): Promise<void>;
}

/** Only files of such names are listed, and removed: a destination may hold others. */
const NAME = /^backup_\d{8}_\d{6}(?:_\d+)?\.sqlite(?:\.\w+)?$/;

export function isBackupName(name: string): boolean {
  return NAME.test(name);
}

/** Bytes that are read and hashed at a time: the calling thread is busy for a millisecond. */
const BLOCK = 1024 * 1024;

/** Reads a file from its start, block by block. A block is only valid until the next. */
export async function* blocks(file: string, signal?: AbortSignal): AsyncGenerator<Buffer> {
  const handle = await open(file, 'r');
  try {
    const buffer = Buffer.allocUnsafe(BLOCK);
    for (;;) {
      signal?.throwIfAborted();
      const { bytesRead } = await handle.read(buffer, 0, BLOCK, null);
      if (bytesRead === 0) return;
      yield buffer.subarray(0, bytesRead);
    }
  } finally {
    await handle.close();
  }
}

/** The SHA-256 of a file, in hexadecimal. */
export async function sha256(file: string, signal?: AbortSignal): Promise<string> {
  const hash = createHash('sha256');
  for await (const block of blocks(file, signal)) hash.update(block);
  return hash.digest('hex');
}

export function transferError(what: string, cause: unknown, signal?: AbortSignal): PoolError {
  if (signal?.aborted === true) {
    return new PoolError('POOL_ABORTED', `${what}: aborted by its signal`, { cause });
  }
  const why = cause instanceof Error ? cause.message || cause.name : String(cause);
  return new PoolError('POOL_BACKUP', `${what}: ${why}`, { cause });
}
