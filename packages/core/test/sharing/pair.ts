import { createPool, type Pool, type PoolOptions } from '@poolite/core';
import { afterAll, beforeAll } from 'vitest';
import { freshFile, openPool, PATIENT } from '../support/folder.ts';
import { sharedPool } from '../support/shared-pool.ts';

export const TABLE = 'CREATE TABLE t (id INTEGER PRIMARY KEY, v UNIQUE)';

export interface Pair {
  file: string;
  /** The pool whose thread writes. */
  writer: Pool;
  /** One that sends its writes there: pools with other options are like other processes. */
  client: Pool;
}

/** Two pools that share a writer, over its socket. */
export async function pair(options: PoolOptions = {}, file = freshFile()): Promise<Pair> {
  const writer = openPool(file, { ...options, writer: 'shared', readers: 1 });
  await writer.ready();
  const client = openPool(file, { ...options, writer: 'shared', readers: 2 });
  await client.ready();
  return { file, writer, client };
}

/** One pair for the tests of a file that leave it idle: what it returns gives it without tables. */
export function sharedPair(): (script: string) => Promise<Pair> {
  const writer = sharedPool({ writer: 'shared', readers: 1 });
  let two: Pair;
  beforeAll(async () => {
    const pool = await writer();
    const client = createPool(pool.file, { ...PATIENT, writer: 'shared', readers: 2 });
    two = { file: pool.file, writer: pool, client };
    await client.ready();
  });
  afterAll(() => two.client.close({ force: true }));
  return async (script) => {
    await writer(script);
    return two;
  };
}

/** Resolves once `is` holds: looked at with each turn of a short timer, as long as it takes. */
export async function until(is: () => boolean): Promise<void> {
  while (!is()) await new Promise((resolve) => setTimeout(resolve, 5));
}
