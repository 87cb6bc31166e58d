import { existsSync, statSync } from 'node:fs';
import type { CheckpointMessage, Pool, PoolEvents, WalPinnedMessage } from '@poolite/core';

export function walBytes(file: string): number {
  return existsSync(`${file}-wal`) ? statSync(`${file}-wal`).size : 0;
}

/** The next event of this name that fits. */
export function next<Name extends 'checkpoint' | 'walPinned' | 'upkeepError' | 'threadLost'>(
  pool: Pool,
  name: Name,
  fits: (message: PoolEvents[Name][0]) => boolean = () => true,
): Promise<PoolEvents[Name][0]> {
  return new Promise((resolve) => {
    const listener = (message: CheckpointMessage | WalPinnedMessage | object) => {
      if (!fits(message as PoolEvents[Name][0])) return;
      pool.off(name, listener as never);
      resolve(message as PoolEvents[Name][0]);
    };
    pool.on(name, listener as never);
  });
}

export const BLOB = Buffer.alloc(3000, 1);

/** Writes so many megabytes to the WAL, some rows at a time. */
export async function write(pool: Pool, megabytes: number): Promise<void> {
  const rows = Math.ceil((megabytes * 1e6) / 4120);
  for (let done = 0; done < rows; done += 16) {
    const group = Array.from({ length: 16 }, () =>
      pool.run('INSERT INTO t (b) VALUES (?)', [BLOB]),
    );
    await Promise.all(group);
  }
}

export const TABLE = 'CREATE TABLE t (id INTEGER PRIMARY KEY, b BLOB)';
