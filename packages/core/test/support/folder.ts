import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { createPool, type Pool, type PoolOptions } from '@poolite/core';
import { onTestFinished } from 'vitest';

/** A folder of the running test's own, removed when the test is over. */
export function freshFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'poolite-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** The path of a database in a fresh folder: there is no such file yet. */
export function freshFile(name = 'test.db'): string {
  return join(freshFolder(), name);
}

/** A machine that is busy with other things may stand still for longer than the defaults allow. */
export const PATIENT: PoolOptions = { acquireTimeout: 120_000, transactionTimeout: 120_000 };

/** A pool that is closed when the test is over, whatever it left under way. */
export function openPool(file: string, options?: PoolOptions): Pool {
  const pool = createPool(file, { ...PATIENT, ...options });
  onTestFinished(() => pool.close({ force: true }));
  return pool;
}

/** A module for the option `setup`, beside a database. */
export function writeModule(file: string, name: string, source: string): string {
  const path = join(dirname(file), name);
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, source);
  return path;
}

/** How a promise ends: its error's code, or 'resolved'; an error without a code shows itself. */
export async function outcome(promise: Promise<unknown>): Promise<string> {
  try {
    await promise;
    return 'resolved';
  } catch (error) {
    const { code } = error as { code?: unknown };
    return typeof code === 'string' ? code : String(error);
  }
}

/** The error of a promise that must reject. */
export async function failure(promise: Promise<unknown>): Promise<Error & { code?: string }> {
  try {
    await promise;
  } catch (error) {
    if (error instanceof Error) return error;
    throw new Error(`rejected with what is no Error: ${String(error)}`);
  }
  throw new Error('it resolved, but must reject');
}

/** Fails with the names of the promises that are not settled in so many ms: that hang. */
export async function allSettled(
  promises: Readonly<Record<string, Promise<unknown>>>,
  ms = 60_000,
): Promise<Record<string, string>> {
  const outcomes: Record<string, string> = {};
  const all = Object.entries(promises).map(async ([name, promise]) => {
    outcomes[name] = await outcome(promise);
  });
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, ms);
  });
  await Promise.race([Promise.all(all), late]);
  clearTimeout(timer);
  const hanging = Object.keys(promises).filter((name) => outcomes[name] === undefined);
  if (hanging.length > 0) throw new Error(`not settled within ${ms} ms: ${hanging.join(', ')}`);
  return outcomes;
}
