import type { Pool, PoolOptions } from '@poolite/core';
import { freshFile, openPool } from '../support/folder.ts';

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

/** Resolves once `is` holds: looked at with each turn of a short timer, as long as it takes. */
export async function until(is: () => boolean): Promise<void> {
  while (!is()) await new Promise((resolve) => setTimeout(resolve, 5));
}
