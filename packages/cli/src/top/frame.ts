import type { LatencyStats, PoolStats, ReplicationStats } from '@poolite/core';
import { bytes, count, duration, paint, percent } from '../format.js';
import type { Rates, Watched } from './rates.js';

const BARS = '▁▂▃▄▅▆▇█';

/** Values as a row of bars, the largest the highest. */
export function sparkline(values: readonly number[]): string {
  const most = Math.max(...values, 1);
  return values.map((value) => BARS[Math.round((value / most) * (BARS.length - 1))]).join('');
}

/** What `top` draws, cut to the size of the terminal. */
export function frame(
  file: string,
  watched: readonly Watched[],
  time: Date,
  size: { columns: number; rows: number },
): string {
  const pools = watched.length === 1 ? '1 pool' : `${watched.length} pools`;
  const lines = [
    `${paint('bold', file)}  ${pools}  ${time.toTimeString().slice(0, 8)}  ${paint('dim', 'q: quit')}`,
    ...watched.flatMap((each) => ['', ...block(each)]),
  ];
  // The last line stays free: a terminal scrolls when it is full.
  const most = size.rows - 1;
  const fitting = lines.length <= most ? lines : [...lines.slice(0, most - 1), paint('dim', '…')];
  return fitting.map((line) => cut(line, size.columns)).join('\n');
}

/** A line without what does not fit; colours take no room. */
export function cut(line: string, columns: number): string {
  let width = 0;
  let text = '';
  // biome-ignore lint/suspicious/noControlCharactersInRegex: a colour begins with one.
  for (const part of line.match(/\x1b\[[\d;]*m|./gu) ?? []) {
    if (part.length > 2) text += part;
    else if (++width <= columns) text += part;
  }
  return text;
}

function block({ pool, rates, history }: Watched): string[] {
  const { told } = pool;
  const head = `pid ${pool.pid}`;
  if (told === undefined) {
    return [
      `${paint('bold', head)}  ${paint('yellow', 'does not answer: its event loop is busy')}`,
    ];
  }
  const { stats, script, openedAt } = told;
  const age = duration(Math.max(0, Date.now() - Date.parse(openedAt)));
  const state = paint(stats.state === 'open' ? 'green' : 'yellow', stats.state);
  return [
    `${paint('bold', head)}  ${state}  for ${age}  ${paint('dim', script)}`,
    ...(rates === undefined ? [] : flow(stats, rates, history)),
    ...latencies(stats, rates),
    ...storage(stats),
  ];
}

function flow(stats: PoolStats, rates: Rates, history: readonly number[]): string[] {
  const { reads, writes, transactions } = stats;
  const share = percent(transactions.sharedCommits, transactions.count);
  return [
    row('reads', `${count(rates.reads)}/s`, [
      `inline ${Math.round(rates.inlinePart * 100)} %`,
      `running ${count(reads.running)}`,
      `queued ${count(reads.queued)}`,
      `held ${count(reads.held)}`,
    ]),
    row('writes', `${count(rates.writes)}/s`, [
      `groups ${count(rates.groups)}/s of ${rates.groupSize.toFixed(1)}`,
      `largest ${count(writes.largestGroup)}`,
      `queued ${count(writes.queued)}`,
      sparkline(history),
    ]),
    row('transactions', `${count(rates.transactions)}/s`, [
      `shared commits ${share}`,
      `waiting ${count(transactions.waiting)}`,
      `writer held ${duration(transactions.heldMs)}`,
    ]),
  ];
}

function latencies({ latency }: PoolStats, rates: Rates | undefined): string[] {
  const cells = (name: string, now: number | undefined, all: LatencyStats) => {
    if (all.count === 0) return [];
    const values = [now, all.p50, all.p99, all.max].map((ms) => (ms ? duration(ms) : '-'));
    return [`  ${name.padEnd(14)}${values.map((value) => value.padStart(10)).join('')}`];
  };
  const lines = [
    ...cells('inline read', rates?.inlineMs, latency.inline),
    ...cells('read', rates?.readMs, latency.read),
    ...cells('write', rates?.writeMs, latency.write),
  ];
  if (lines.length === 0) return [];
  const names = ['mean now', 'p50', 'p99', 'max'].map((name) => name.padStart(10)).join('');
  return [paint('dim', `  ${'latency'.padEnd(14)}${names}`), ...lines];
}

function storage(stats: PoolStats): string[] {
  // The pool may be of another version, which has no such numbers.
  const { checkpoints, backups, replication } = stats as Partial<PoolStats>;
  return [
    row(
      'WAL',
      bytes(stats.walBytes),
      checkpoints === undefined
        ? []
        : [
            `checkpoints ${count(checkpoints.count)}`,
            `emptied ${count(checkpoints.resets)}`,
            `pinned ${count(checkpoints.pinned)}`,
            `longest hold of reads ${duration(checkpoints.holds.reads.max)}`,
          ],
    ),
    ...(backups === undefined ? [] : backupRows(backups)),
    ...(replication === undefined ? [] : replicationRows(replication)),
    row('trouble', '', [
      `locks met ${count(stats.busyRetries)}`,
      `threads lost ${count(stats.threadsLost)}`,
      `checkpoints failed ${count(checkpoints?.failed ?? 0)}`,
      `backups failed ${count(backups?.failed ?? 0)}`,
      ...(replication ? [`replication errors ${count(replication.errors)}`] : []),
    ]),
  ];
}

function backupRows(backups: PoolStats['backups']): string[] {
  const { running, made, lastAt, lastBytes, lastDuration, nextAt } = backups;
  const now = Date.now();
  const more = running > 0 ? [`under way ${count(running)}`] : [];
  if (lastAt > 0) {
    const last = `${bytes(lastBytes)} in ${duration(lastDuration)}`;
    more.push(`last ${duration(Math.max(1, now - lastAt))} ago (${last})`);
  }
  if (nextAt > 0) more.push(`next in ${duration(Math.max(0, nextAt - now))}`);
  return [row('backups', count(made), more), ...sentRow(backups)];
}

/** What is at the destination, where there is one. */
function sentRow({ stored, storedRemoved, sending }: Partial<PoolStats['backups']>): string[] {
  if (sending === undefined && !stored) return [];
  const more = sending === undefined ? [] : [`sending ${sent(sending)}`];
  if (storedRemoved) more.push(`old ones removed ${count(storedRemoved)}`);
  return [row('sent', count(stored ?? 0), more)];
}

/** How far what is being sent is: `40 % of 1.2 GB`. */
export function sent({ doneBytes, totalBytes }: { doneBytes: number; totalBytes: number }): string {
  return `${percent(doneBytes, totalBytes)} of ${bytes(totalBytes)}`;
}

function replicationRows(replication: ReplicationStats): string[] {
  const { state, lagMs, version, pid, restarts, url, lastError } = replication;
  const calm = state === 'running' || state === 'standby';
  return [
    row('replication', paint(calm ? 'green' : 'yellow', state.padStart(10)), [
      lag(lagMs),
      `to ${url}`,
      `restarts ${count(restarts)}`,
      `litestream ${version}${pid === undefined ? '' : `, pid ${pid}`}`,
    ]),
    ...(lastError === '' ? [] : [row('', '', [paint('yellow', lastError)])]),
  ];
}

/** How far the replica is behind; a process that stands by does not know. */
export function lag(ms: number | undefined): string {
  return ms === undefined ? 'lag not known' : ms === 0 ? 'lag none' : `lag ${duration(ms)}`;
}

function row(name: string, value: string, more: readonly string[]): string {
  return `  ${name.padEnd(14)}${value.padStart(10)}   ${more.join('   ')}`.trimEnd();
}
