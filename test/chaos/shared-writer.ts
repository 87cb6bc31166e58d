import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import Database from 'better-sqlite3';
import { randomFrom } from '../support/random.ts';
import { Member } from './herd.ts';
import { Report, type Tries } from './report.ts';

const ACCOUNTS = 20;
const CENTS = 1000;

/**
 * Kills, stops and ends processes that share a writer, at random, and compares what is stored with
 * what was acknowledged.
 */
export async function sharedWriter(
  members: number,
  { rounds, seed }: Tries,
  options: object = {},
): Promise<Report> {
  const report = new Report();
  const folder = mkdtempSync(join(tmpdir(), 'poolite-shared-'));
  const file = join(folder, 'shared.db');
  const random = randomFrom(seed);
  /** How long there was no acknowledgement by anybody after the writer was killed, in ms. */
  const gaps: number[] = [];
  const all: Member[] = [];
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
      const who = wasWriter ? 'the writer' : 'a client';
      const blow = random();
      if (blow < 0.45) {
        report.count(`kills of ${who}`);
        const others = herd.filter((member) => member !== victim);
        const again = wasWriter ? nextAcknowledged(others) : undefined;
        const killed = performance.now();
        await victim.end('SIGKILL');
        if (again !== undefined) gaps.push((await again) - killed);
      } else if (blow < 0.65) {
        report.count(`stops of ${who}`);
        victim.process.kill('SIGSTOP');
        await delay(random() * 200);
        victim.process.kill('SIGCONT');
      } else {
        report.count(`ends of ${who}`);
        const code = await victim.end('SIGTERM');
        report.expect(code === 0, () => `${victim.name} did not end`);
      }
      if (victim.hasEnded) {
        herd = herd.filter((member) => member !== victim);
        const fresh = start();
        herd.push(fresh);
        await fresh.ready;
      }
    }
    await Promise.all(herd.map((member) => member.end('SIGTERM')));
  } finally {
    for (const member of all) if (!member.hasEnded) await member.end('SIGKILL');
  }
  for (const { name, wrong, failures } of all) {
    for (const each of wrong) report.expect(false, () => `${name}: ${each}`);
    for (const [key, times] of failures) report.count(`told ${key}`, times);
  }
  compare(file, all, report);
  gaps.sort((a, b) => a - b);
  if (gaps.length > 0) {
    report.count('ms until another writes, median', Math.round(gaps[gaps.length >> 1] as number));
    report.count('ms until another writes, most', Math.round(gaps.at(-1) as number));
  }
  report.fired('acknowledged');
  // Few blows need not be of every kind.
  if (rounds >= 100) report.fired('kills of the writer', 'kills of a client', 'ends of the writer');
  rmSync(folder, { recursive: true, force: true });
  return report;
}

function makeTables(file: string): void {
  const db = new Database(file);
  db.exec(`
    PRAGMA journal_mode = WAL;
    CREATE TABLE entry (id INTEGER PRIMARY KEY, member TEXT, caller INTEGER, number INTEGER);
    CREATE INDEX entry_number ON entry (member, caller, number);
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

/** What is stored against what was acknowledged. */
function compare(file: string, members: readonly Member[], report: Report): void {
  const db = new Database(file);
  const integrity = db.pragma('integrity_check', { simple: true });
  report.expect(integrity === 'ok', () => `integrity: ${integrity}`);
  const sum = db.prepare('SELECT sum(cents) FROM account').pluck().get();
  report.expect(sum === ACCOUNTS * CENTS, () => `the sum is ${sum}`);
  for (const kind of ['entry', 'transfer']) {
    const rows = db.prepare(`SELECT member, caller, number FROM ${kind} ORDER BY id`).raw().all();
    report.count('stored', rows.length);
    const stored = new Map<string, number[]>();
    for (const [member, caller, number] of rows as [string, number, number][]) {
      const key = `${member} ${kind} ${caller}`;
      const numbers = stored.get(key) ?? [];
      // In the order of its caller, and once.
      const last = numbers.at(-1) ?? 0;
      report.expect(number > last, () => `${key}: ${number} behind ${last}`);
      numbers.push(number);
      stored.set(key, numbers);
    }
    for (const { name, acknowledged } of members) {
      for (const [key, numbers] of acknowledged) {
        if (!key.startsWith(kind)) continue;
        report.count('acknowledged', numbers.length);
        const there = new Set(stored.get(`${name} ${key}`));
        for (const number of numbers) {
          report.expect(there.has(number), () => `${name} ${key}: ${number} is lost`);
        }
      }
    }
  }
  db.close();
}
