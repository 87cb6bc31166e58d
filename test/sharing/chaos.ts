import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import Database from 'better-sqlite3';
import { randomFrom } from '../support/random.ts';
import { Member } from './herd.ts';

const ACCOUNTS = 20;
const CENTS = 1000;

export interface ChaosOptions {
  rounds: number;
  members: number;
  seed: number;
  options?: object;
}

export interface ChaosReport {
  rounds: number;
  /** How long there was no acknowledgement by anybody after the writer was killed, in ms. */
  gaps: number[];
  acknowledged: number;
  stored: number;
  /** How statements failed, and how often. */
  failures: Record<string, number>;
  /** Statements that failed while members ended cleanly alone. */
  atCleanExits: Record<string, number>;
  counts: Record<string, number>;
  /** Everything that must not be. */
  wrong: string[];
}

/** Ends, kills and stops members that share a writer, at random, and compares what is stored. */
export async function chaos({
  rounds,
  members,
  seed,
  options = {},
}: ChaosOptions): Promise<ChaosReport> {
  const folder = mkdtempSync(join(tmpdir(), 'poolite-chaos-'));
  const file = join(folder, 'chaos.db');
  const random = randomFrom(seed);
  const all: Member[] = [];
  const report: ChaosReport = {
    ...{ rounds: 0, gaps: [], acknowledged: 0, stored: 0, failures: {}, atCleanExits: {} },
    ...{ counts: {}, wrong: [] },
  };
  const start = () => {
    const member = new Member(file, `m${all.length}`, options);
    all.push(member);
    return member;
  };
  try {
    makeTables(file);
    let herd = Array.from({ length: members }, start);
    await Promise.all(herd.map(({ ready }) => ready));
    for (let round = 0; round < rounds; round++) {
      await delay(20 + random() * 150);
      const writer = herd.find(({ role }) => role === 'writer');
      // Every second blow is for whoever writes.
      const victim =
        writer !== undefined && random() < 0.5
          ? writer
          : (herd[Math.floor(random() * herd.length)] as Member);
      const wasWriter = victim === writer;
      const blow = random();
      const what = `${blow < 0.45 ? 'kill' : blow < 0.65 ? 'stop' : 'exit'} ${wasWriter ? 'writer' : 'client'}`;
      report.counts[what] = (report.counts[what] ?? 0) + 1;
      if (blow < 0.45) {
        const others = herd.filter((member) => member !== victim);
        const again = wasWriter ? nextAcknowledged(others) : undefined;
        const killed = performance.now();
        await victim.end('SIGKILL');
        if (again !== undefined) report.gaps.push((await again) - killed);
      } else if (blow < 0.65) {
        victim.process.kill('SIGSTOP');
        await delay(random() * 200);
        victim.process.kill('SIGCONT');
      } else {
        const before = failuresOf(all);
        if ((await victim.end('SIGTERM')) !== 0) report.wrong.push(`${victim.name} did not end`);
        for (const [key, count] of Object.entries(failuresOf(all))) {
          const more = count - (before[key] ?? 0);
          if (more > 0) report.atCleanExits[key] = (report.atCleanExits[key] ?? 0) + more;
        }
      }
      if (victim.hasEnded) {
        herd = herd.filter((member) => member !== victim);
        const fresh = start();
        herd.push(fresh);
        await fresh.ready;
      }
      report.rounds++;
    }
    await Promise.all(herd.map((member) => member.end('SIGTERM')));
  } finally {
    for (const member of all) if (!member.hasEnded) await member.end('SIGKILL');
  }
  for (const member of all) report.wrong.push(...member.wrong);
  report.failures = failuresOf(all);
  compare(file, all, report);
  rmSync(folder, { recursive: true, force: true });
  return report;
}

function makeTables(file: string): void {
  const db = new Database(file);
  db.exec(`
    PRAGMA journal_mode = WAL;
    CREATE TABLE entry (id INTEGER PRIMARY KEY, member TEXT, caller INTEGER, number INTEGER);
    CREATE TABLE transfer (id INTEGER PRIMARY KEY, member TEXT, caller INTEGER, number INTEGER);
    CREATE TABLE account (id INTEGER PRIMARY KEY, cents INTEGER);
  `);
  const insert = db.prepare('INSERT INTO account VALUES (?, ?)');
  for (let id = 0; id < ACCOUNTS; id++) insert.run(id, CENTS);
  db.close();
}

/** When some member is answered next. */
function nextAcknowledged(members: readonly Member[]): Promise<number> {
  return new Promise((resolve) => {
    // What was acknowledged before the blow may still be on its way here: a new writer comes first.
    let isLed = false;
    for (const member of members) {
      member.onRole = (role) => {
        if (role === 'writer') isLed = true;
      };
      member.onAcknowledged = () => {
        if (!isLed) return;
        for (const each of members) {
          each.onRole = undefined;
          each.onAcknowledged = undefined;
        }
        resolve(performance.now());
      };
    }
  });
}

function failuresOf(members: readonly Member[]): Record<string, number> {
  const all: Record<string, number> = {};
  for (const { failures } of members) {
    for (const [key, count] of failures) all[key] = (all[key] ?? 0) + count;
  }
  return all;
}

/** What is stored against what was acknowledged. */
function compare(file: string, members: readonly Member[], report: ChaosReport): void {
  const db = new Database(file);
  const { wrong } = report;
  const integrity = db.pragma('integrity_check', { simple: true });
  if (integrity !== 'ok') wrong.push(`integrity: ${integrity}`);
  const sum = db.prepare('SELECT sum(cents) FROM account').pluck().get();
  if (sum !== ACCOUNTS * CENTS) wrong.push(`the sum is ${sum}`);
  for (const kind of ['entry', 'transfer']) {
    const rows = db.prepare(`SELECT member, caller, number FROM ${kind} ORDER BY id`).raw().all();
    report.stored += rows.length;
    const stored = new Map<string, number[]>();
    for (const [member, caller, number] of rows as [string, number, number][]) {
      const key = `${member} ${kind} ${caller}`;
      const numbers = stored.get(key) ?? [];
      // In the order of its caller, and once.
      if (number <= (numbers.at(-1) ?? 0)) wrong.push(`${key}: ${number} behind ${numbers.at(-1)}`);
      numbers.push(number);
      stored.set(key, numbers);
    }
    for (const { name, acknowledged } of members) {
      for (const [key, numbers] of acknowledged) {
        if (!key.startsWith(kind)) continue;
        report.acknowledged += numbers.length;
        const there = new Set(stored.get(`${name} ${key}`));
        for (const number of numbers) {
          if (!there.has(number))
            wrong.push(`${name} ${key}: ${number} was acknowledged and is lost`);
        }
      }
    }
  }
  db.close();
}
