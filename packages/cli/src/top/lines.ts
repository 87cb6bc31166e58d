import { bytes, count, duration } from '../format.js';
import { lag, sent } from './frame.js';
import type { Watched } from './rates.js';

/** One pool as one line, for logs and pipes. */
export function plainLine({ pool, rates }: Watched, time: Date): string {
  const start = `${time.toISOString()} pid ${pool.pid}`;
  if (pool.told === undefined) return `${start} does not answer: its event loop is busy`;
  const { stats } = pool.told;
  if (rates === undefined) return `${start} ${stats.state}, WAL ${bytes(stats.walBytes)}`;
  const { reads, writes, transactions, latency } = stats;
  // The pool may be of another version, which has no such numbers.
  const { backups, replication } = stats as Partial<typeof stats>;
  return [
    start,
    `reads ${count(rates.reads)}/s`,
    `queued ${count(reads.queued)}`,
    `writes ${count(rates.writes)}/s`,
    `queued ${count(writes.queued)}`,
    `groups ${count(rates.groups)}/s of ${rates.groupSize.toFixed(1)}`,
    `transactions ${count(rates.transactions)}/s`,
    `waiting ${count(transactions.waiting)}`,
    `read p99 ${duration(latency.read.p99)}`,
    `write p99 ${duration(latency.write.p99)}`,
    `WAL ${bytes(stats.walBytes)}`,
    `backups ${count(backups?.made ?? 0)}`,
    ...(backups?.sending === undefined ? [] : [`sending ${sent(backups.sending)}`]),
    ...(replication === undefined
      ? []
      : [`replication ${replication.state} ${lag(replication.lagMs)}`]),
  ].join(' ');
}
