import { bytes, count, duration } from '../format.js';
import type { Watched } from './rates.js';

/** One pool as one line, for logs and pipes. */
export function plainLine({ pool, rates }: Watched, time: Date): string {
  const start = `${time.toISOString()} pid ${pool.pid}`;
  if (pool.told === undefined) return `${start} does not answer: its event loop is busy`;
  const { stats } = pool.told;
  if (rates === undefined) return `${start} ${stats.state}, WAL ${bytes(stats.walBytes)}`;
  const { reads, writes, transactions, latency } = stats;
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
    `backups ${count((stats as Partial<typeof stats>).backups?.made ?? 0)}`,
  ].join(' ');
}
