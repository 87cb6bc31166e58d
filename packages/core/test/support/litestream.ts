import { existsSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { type Pool, restoreReplica } from '@poolite/core';
import Database from 'better-sqlite3';
import { expect, vi } from 'vitest';

/** The program of the npm package; undefined where it has none for this system. */
export const litestream = find();

function find(): string | undefined {
  const own = createRequire(import.meta.url).resolve('@flydotio/litestream/package.json');
  const name = `litestream-${process.platform}-${process.arch}/litestream`;
  const file = join(dirname(dirname(own)), name);
  if (existsSync(file)) return file;
  console.log(`replication is not tried: @flydotio/litestream has no program at ${file}`);
  return undefined;
}

/** How long a test waits for Litestream on a busy machine, in ms. */
export const PATIENCE = { timeout: 60_000, interval: 50 };

/** Waits until a pool's replication is in a state. */
export async function reaches(pool: Pool, state: string): Promise<void> {
  await vi.waitFor(() => expect(pool.stats().replication?.state).toBe(state), PATIENCE);
}

/** Waits until the replica has all that the pool wrote. */
export async function caughtUp(pool: Pool): Promise<void> {
  await vi.waitFor(() => expect(pool.stats().replication?.lagMs).toBe(0), PATIENCE);
}

/** The numbers in the table `row` of a sound database, by better-sqlite3 alone. */
export function numbers(file: string): number[] {
  const db = new Database(file, { readonly: true });
  try {
    expect(db.pragma('integrity_check', { simple: true })).toBe('ok');
    return db.prepare('SELECT n FROM row ORDER BY n').pluck().all() as number[];
  } finally {
    db.close();
  }
}

/** Removes a database with all that lies beside it. */
export function removeDatabase(file: string): void {
  for (const end of ['', '-wal', '-shm']) rmSync(file + end, { force: true });
}

/** Restores a replica to a file, again and again, until `check` finds what it wants there. */
export async function arrives(url: string, back: string, check: () => void): Promise<void> {
  const look = async () => {
    removeDatabase(back);
    await restoreReplica(url, back);
    check();
  };
  await vi.waitFor(look, PATIENCE);
}

export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

/** Waits until a process that is no child of this one has ended. */
export async function ends(pid: number): Promise<void> {
  await vi.waitFor(() => expect(isAlive(pid)).toBe(false), PATIENCE);
}
