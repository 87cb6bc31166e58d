import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { expect, onTestFinished, test } from 'vitest';
import { Report } from '../chaos/report.ts';
import { check, type Evidence } from './check.ts';
import { FIRST_ROWS, LOOK, type Look, type Plan, TABLES } from './plans.ts';
import type { Logged } from './replay.ts';
import type { Line } from './told.ts';

type Made = Evidence & {
  log: Logged[];
  told: { member: string; lines: Line[] }[];
  replica: DatabaseSync;
};

const OWN_TABLES = `
  CREATE TABLE poolite_requests (
    id TEXT NOT NULL PRIMARY KEY, at INTEGER NOT NULL, result BLOB
  ) WITHOUT ROWID, STRICT;
  CREATE TABLE poolite_replica (id INTEGER PRIMARY KEY, number INTEGER, token TEXT) STRICT;
  INSERT INTO poolite_replica VALUES (1, 0, '');`;

const PLANS: Plan[] = [
  [
    { do: 'see', table: 'counter', key: 1 },
    { do: 'count', counter: 1 },
  ],
  [
    { do: 'see', table: 'counter', key: 1 },
    { do: 'move', from: 2, to: 3, cents: 5 },
  ],
  [
    { do: 'append', list: 0 },
    { do: 'see', table: 'list', key: 0 },
  ],
];

/** What was written, and what it has seen: as these plans say. */
const WRITES: ((id: string) => string)[] = [
  (id) => `INSERT INTO seen VALUES ('${id}', 0, '0'); UPDATE counter SET n = 1 WHERE id = 1`,
  (id) => `INSERT INTO seen VALUES ('${id}', 0, '1');
    UPDATE account SET cents = 995 WHERE id = 2; UPDATE account SET cents = 1005 WHERE id = 3`,
  (id) =>
    `UPDATE list SET items = ',${id}' WHERE key = 0; INSERT INTO seen VALUES ('${id}', 1, ',${id}')`,
];

/** Two members of which one has made two writes and the other one, entry by entry, and read in between. */
function made(writes = WRITES): Made {
  const folder = mkdtempSync(join(tmpdir(), 'poolite-check-'));
  const replica = new DatabaseSync(join(folder, 'replica.db'));
  onTestFinished(() => {
    if (replica.isOpen) replica.close();
    rmSync(folder, { recursive: true, force: true });
  });
  replica.exec(`PRAGMA journal_mode = MEMORY; PRAGMA synchronous = OFF; ${OWN_TABLES}`);
  const log: Logged[] = [];
  const add = (parts: Logged['parts'], sequences: Logged['sequences'] = []) => {
    const number = log.length + 1;
    const token = `t${number}`;
    log.push({ number, token, previous: log.at(-1)?.token ?? '', parts, sequences, requests: [] });
    replica.prepare('UPDATE poolite_replica SET number = ?, token = ?').run(number, token);
  };
  const changed = (sql: string) => {
    const session = replica.createSession();
    replica.exec(sql);
    const bytes = session.changeset();
    session.close();
    return { type: 'changes' as const, bytes };
  };
  replica.exec(TABLES);
  const tables = replica.prepare("SELECT sql FROM sqlite_schema WHERE sql NOT LIKE '%poolite_%'");
  const ddl = (tables.all() as { sql: string }[]).filter(({ sql }) => !sql.includes('sqlite_'));
  add([...ddl.map(({ sql }) => ({ type: 'ddl' as const, sql })), changed(FIRST_ROWS)]);
  const lines: Line[][] = [[], []];
  PLANS.forEach((plan, i) => {
    const id = `m${i % 2}.1.${i}`;
    const insert = `INSERT INTO request (id, plan) VALUES ('${id}', '${JSON.stringify(plan)}')`;
    const part = changed(`${insert}; ${writes[i]?.(id)}`);
    add([part], [['request', i + 1]]);
    lines[i % 2]?.push({ say: 'ask', id, at: i * 100 });
    lines[i % 2]?.push({ say: 'answer', id, at: i * 100 + 50, outcome: 'ok' });
    const look = { ...(replica.prepare(LOOK).get() as unknown as Look) };
    lines[1]?.push({ say: 'look', from: i * 100 + 60, at: i * 100 + 70, fresh: true, look });
  });
  return {
    ...{ log, replica, replicas: [join(folder, 'replica.db')] },
    ...{ scratch: join(folder, 'scratch.db') },
    told: lines.map((each, i) => ({ member: `m${i}`, lines: each })),
  };
}

function checked({ replica, ...evidence }: Made): string[] {
  if (replica.isOpen) replica.close();
  const report = new Report();
  check(evidence, report);
  return report.wrong;
}

function line<Say extends Line['say']>(
  evidence: Made,
  say: Say,
  which: number,
): Line & { say: Say } {
  const lines = evidence.told.flatMap((each) => each.lines);
  return lines.filter((each) => each.say === say)[which] as Line & { say: Say };
}

test('nothing is wrong where all goes well', () => {
  expect(checked(made())).toEqual([]);
});

test('nothing is wrong where nobody knows, and where nobody was told', () => {
  const evidence = made();
  line(evidence, 'answer', 0).outcome = 'unknown';
  evidence.told[1]?.lines.splice(2, 1);
  const [first] = evidence.told as [Made['told'][number]];
  first.lines.push({ say: 'ask', id: 'm0.1.9', at: 500 });
  first.lines.push({ say: 'ask', id: 'm0.1.10', at: 500 });
  first.lines.push({ say: 'answer', id: 'm0.1.10', at: 600, outcome: 'unknown' });
  first.lines.push({ say: 'ask', id: 'm0.1.11', at: 500 });
  first.lines.push({ say: 'answer', id: 'm0.1.11', at: 600, outcome: 'failed' });
  expect(checked(evidence)).toEqual([]);
});

type Case = [what: string, harm: (evidence: Made) => void, found: string];

const set = (sql: string) => (evidence: Made) => evidence.replica.exec(sql);

test.each<Case>([
  ['an acknowledged write is lost', ({ log }) => log.pop(), 'is not in the log'],
  ['an entry is missing', ({ log }) => log.splice(2, 1), 'entry 4 comes after 2'],
  ['an entry is another', ({ log }) => Object.assign(log[1] ?? {}, { token: 'x' }), 'not follow'],
  ['an entry is there twice', ({ log }) => log.push({ ...(log[3] as Logged), number: 5 }), 'twice'],
  [
    'an entry does not apply',
    ({ log }) => {
      log.push({ ...(log[3] as Logged), number: 5, token: 'x', previous: 't4' });
    },
    'entry 5 does not apply',
  ],
  ['what failed is stored', (all) => (line(all, 'answer', 1).outcome = 'failed'), 'has failed'],
  ['nobody asked for it', ({ told }) => told[1]?.lines.splice(1, 2), 'nobody asked for m1.1.1'],
  [
    'one was answered before the other was asked for',
    (all) => (line(all, 'ask', 0).at = 199),
    'comes before',
  ],
  [
    'a fresh read is old',
    (all) => (line(all, 'look', 1).look = line(all, 'look', 0).look),
    'fresh',
  ],
  [
    'a read goes back',
    (all) => {
      Object.assign(line(all, 'look', 2), { fresh: false, look: line(all, 'look', 0).look });
    },
    'has read state 1 after 2',
  ],
  [
    'a read sees half of it',
    (all) => (line(all, 'look', 1).look.counters = '0,0,0,0'),
    'never was',
  ],
  [
    'a read sees what is to come',
    (all) => (line(all, 'look', 0).look = line(all, 'look', 2).look),
    'later',
  ],
  ['a replica has lost a row', set('DELETE FROM seen'), "has not: seen: 'm0.1.0',0,'0'"],
  ['a replica has another value', set('UPDATE account SET cents = 1'), 'has also: account'],
  ['a replica is behind', set('UPDATE poolite_replica SET number = 3'), 'is at entry 3 of 4'],
  ['a replica has no trigger', set('DROP TRIGGER request_counts'), '0 triggers'],
  [
    'a replica was unsound',
    ({ told }) => told[0]?.lines.push({ say: 'quarantine', reason: 'x' }),
    'unsound',
  ],
  [
    'a result changes',
    ({ told }) => {
      for (const result of ['one', 'two']) {
        told[0]?.lines.push({ say: 'ask', id: 'm0.1.0', at: 900 });
        told[0]?.lines.push({ say: 'answer', id: 'm0.1.0', at: 901, outcome: 'ok', result });
      }
    },
    'and then "two"',
  ],
])('it is found where %s', (_, harm, found) => {
  const evidence = made();
  harm(evidence);
  expect(checked(evidence).join('\n')).toContain(found);
});

type Wrong = [what: string, place: number, write: (id: string) => string, found: string];

test.each<Wrong>([
  [
    'was read',
    1,
    (id) => WRITES[1]?.(id).replace("'1'", "'0'") ?? '',
    "read '0' at 0, where '1' was",
  ],
  ['was moved', 1, (id) => WRITES[1]?.(id).replace('1005', '1006') ?? '', 'the sum is 10001'],
  [
    'was counted',
    0,
    (id) => WRITES[0]?.(id).replace('n = 1', 'n = 2') ?? '',
    'after entry 2 there is',
  ],
  ['was appended', 2, (id) => WRITES[2]?.(id).replace(`,${id}`, ',xx.x.x') ?? '', 'lists are'],
  ['was not read', 0, () => 'UPDATE counter SET n = 1 WHERE id = 1', 'has stored 0 reads'],
])('it is found where another value %s than was there', (_, place, write, found) => {
  const evidence = made(WRITES.with(place, write));
  expect(checked(evidence).join('\n')).toContain(found);
});
