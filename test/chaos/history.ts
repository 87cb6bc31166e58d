import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { createPool } from '@poolite/core';
import Database from 'better-sqlite3';
import { randomFrom } from '../support/random.ts';
import { PATIENT } from './entries.ts';
import { check } from './history/check.ts';
import type { Entry, Final } from './history/entries.ts';
import { Load, listOf, listsFor, MAKE_LISTS } from './history/load.ts';
import { Report, type Tries } from './report.ts';

const CALLERS = 24;
/** Calls of each caller in a round. */
const CALLS = 100;

const program = fileURLToPath(new URL('./history/member.ts', import.meta.url));

/**
 * Random transactions and reads of one process are as if one had run after the other, each between its
 * call and its answer: writes are serializable, and whatever reads sees one state, and not an old one.
 */
export function history({ rounds, seed }: Tries): Promise<Report> {
  return histories({ rounds, seed }, async (file, random, report) => {
    const pool = createPool(file, { readers: 2, ...PATIENT });
    try {
      const load = new Load(pool, { member: 1, callers: CALLERS, calls: CALLS, random });
      await load.run();
      for (const [kind, times] of Object.entries(load.counts)) report.count(kind, times);
      const { reads, transactions } = pool.stats();
      report.count('inline reads', reads.inline);
      report.count('reads on threads', reads.threaded);
      report.count('shared commits', transactions.sharedCommits);
      return load.history;
    } finally {
      await pool.close();
    }
  }).then((report) => {
    report.fired('inline reads', 'reads on threads', 'shared commits', 'stream', 'snapshot');
    report.fired('lease', 'batch', 'append and read', 'transaction with a savepoint');
    return report;
  });
}

/** The same of several processes that share a writer: their histories are one. */
export function sharedHistory(members: number, { rounds, seed }: Tries): Promise<Report> {
  return histories({ rounds, seed }, async (file, random, report) => {
    const children: ChildProcess[] = [];
    try {
      for (let member = 1; member <= members; member++) {
        const load = { member, callers: CALLERS / 3, calls: CALLS, seed: random() * 2 ** 31 };
        const execArgv = ['--experimental-strip-types', '--no-warnings'];
        children.push(fork(program, [file, JSON.stringify(load)], { execArgv }));
      }
      await Promise.all(children.map(said));
      const answers = Promise.all(children.map(said));
      const ended = children.map((child) => once(child, 'exit'));
      for (const child of children) child.send('begin');
      const loads = (await answers) as Pick<Load, 'history' | 'counts'>[];
      await Promise.all(ended);
      for (const { counts } of loads) {
        for (const [kind, times] of Object.entries(counts)) report.count(kind, times);
      }
      return loads.flatMap((load) => load.history);
    } finally {
      for (const child of children) child.kill('SIGKILL');
    }
  });
}

/** The next message; whoever ends instead is an error. */
function said(child: ChildProcess): Promise<unknown> {
  return new Promise((resolve, reject) => {
    // Not its exit, which may be heard of before the last message is.
    const ended = () => reject(new Error(`a process ended with ${child.exitCode}`));
    child.once('disconnect', ended);
    child.once('message', (message) => {
      child.off('disconnect', ended);
      resolve(message);
    });
  });
}

async function histories(
  { rounds, seed }: Tries,
  make: (file: string, random: () => number, report: Report) => Promise<Entry[]>,
): Promise<Report> {
  const report = new Report();
  const random = randomFrom(seed);
  for (let round = 0; round < rounds; round++) {
    const folder = mkdtempSync(join(tmpdir(), 'poolite-history-'));
    const file = join(folder, 'history.db');
    try {
      makeLists(file);
      const entries = await make(file, random, report);
      const { anomalies, edges } = check(entries, stored(file, report));
      for (const { name, text } of anomalies) report.expect(false, () => `${name}: ${text}`);
      for (const { outcome } of entries) report.count(outcome);
      for (const [kind, times] of Object.entries(edges)) report.count(`edges ${kind}`, times);
      report.count('steps', entries.flatMap(({ steps }) => steps).length);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  }
  report.fired('stored', 'refused', 'edges ww', 'edges wr', 'edges rw', 'edges time');
  return report;
}

function makeLists(file: string): void {
  const db = new Database(file);
  db.pragma('journal_mode = WAL');
  db.exec(MAKE_LISTS);
  const insert = db.prepare("INSERT INTO list VALUES (?, '')");
  db.transaction(() => {
    for (let key = 0; key < listsFor({ callers: CALLERS, calls: CALLS }); key++) insert.run(key);
  })();
  db.close();
}

function stored(file: string, report: Report): Final {
  const db = new Database(file);
  const integrity = db.pragma('integrity_check', { simple: true });
  report.expect(integrity === 'ok', () => `integrity: ${integrity}`);
  const rows = db.prepare('SELECT key, items FROM list').raw().all() as [number, string][];
  db.close();
  return new Map(rows.map(([key, items]) => [key, listOf(items)]));
}
