import type { Pool } from '@poolite/core';

/**
 * Repeats rounds of transactions until some of them shared a commit, which they do not while the
 * machine is slow; how many rounds that took.
 */
export async function untilShared(
  pool: Pool,
  work: (round: number) => Promise<unknown>,
): Promise<number> {
  const shared = () => pool.stats().transactions.sharedCommits;
  const before = shared();
  for (let round = 0; ; round++) {
    await work(round);
    if (shared() > before) return round + 1;
  }
}
