import { fileURLToPath } from 'node:url';
import { createPool } from '@poolite/core';

const FOR_EVER = 2 ** 31 - 1;

/**
 * Excludes the migrations of other processes on the same file, by a write transaction on a small
 * database beside it. The system drops such a lock with its process, so none is ever left behind;
 * the file itself stays, since to remove it would let two processes lock two different ones.
 */
export async function lockMigrations(file: string): Promise<() => Promise<void>> {
  const beside = lockFile(file);
  if (beside === undefined) return async () => {};
  const pool = createPool(beside, {
    readers: 1,
    busyTimeout: FOR_EVER,
    retry: { maxDelay: 100 },
    acquireTimeout: 0,
    transactionTimeout: 0,
  });
  try {
    const lease = await pool.lease('write');
    await lease.run('BEGIN IMMEDIATE');
    // BEGIN travels with the statement behind it.
    await lease.get('SELECT 1');
    return async () => {
      await lease.release();
      await pool.close();
    };
  } catch (error) {
    await pool.close({ force: true });
    throw error;
  }
}

/** A database in memory has no other process. */
function lockFile(file: string): string | undefined {
  if (file === '' || file === ':memory:') return undefined;
  if (!file.startsWith('file:')) return `${file}-migration-lock`;
  const [path = ''] = file.split(/[?#]/, 1);
  if (/[?&]mode=memory\b/.test(file) || path === 'file::memory:') return undefined;
  const plain = path.startsWith('file:/') ? fileURLToPath(path) : decodeURIComponent(path.slice(5));
  return `${plain}-migration-lock`;
}
