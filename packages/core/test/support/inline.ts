import type { Pool } from '@poolite/core';

/**
 * Runs a read until it ran on the calling thread, which takes as long as it takes to prove there to
 * be quick; what that run gave.
 */
export async function inline<T>(read: () => Promise<T>, pool: Pool): Promise<T> {
  for (;;) {
    const before = pool.stats().reads.inline;
    const result = await read();
    if (pool.stats().reads.inline > before) return result;
  }
}
