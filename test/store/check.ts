import { DatabaseSync } from 'node:sqlite';
import type { Report } from '../chaos/report.ts';
import { checkAnswers, type Written } from './answers.ts';
import { ACCOUNTS, CENTS, LOOK, type Look, Model, type Plan } from './plans.ts';
import { dump, type Logged, Replay } from './replay.ts';
import type { Told } from './told.ts';

/** What is looked at once all members have ended. */
export interface Evidence {
  /** Every entry of the log, decoded, in order. */
  log: readonly Logged[];
  /** What the members have said. */
  told: readonly Told[];
  /** The replicas of those that are left, which have seen the log's end. */
  replicas: readonly string[];
  /** A file to be made and removed. */
  scratch: string;
}

/** A state of the database: where one entry ends and the next begins. */
export interface State {
  /** The entry that made it. */
  entry: number;
  look: Look;
}

/**
 * Replays the log, and compares with it everything that was stored, answered and read. What was
 * written must be as if the writes had been made one after the other in the order of the log, and within an entry
 * in the order of their numbers.
 */
export function check({ log, told, replicas, scratch }: Evidence, report: Report): void {
  checkChain(log, report);
  const replay = new Replay(scratch);
  try {
    const { written, states } = replayed(log, replay, report);
    checkAnswers({ written, states, told }, report);
    for (const file of replicas) checkReplica(file, log, replay.dump(), report);
  } finally {
    replay.close();
  }
  report.count('entries', log.length);
}

/** Every entry has its number, and names the one before it. */
function checkChain(log: readonly Logged[], report: Report): void {
  let last = { number: 0, token: '' };
  const tokens = new Set<string>();
  for (const entry of log) {
    const { number, token, previous } = entry;
    report.expect(number === last.number + 1, () => `entry ${number} comes after ${last.number}`);
    report.expect(previous === last.token, () => `entry ${number} does not follow the one before`);
    report.expect(!tokens.has(token), () => `the token of entry ${number} is in the log twice`);
    tokens.add(token);
    last = entry;
  }
}

interface Request {
  number: number;
  id: string;
  plan: string;
}

function replayed(log: readonly Logged[], replay: Replay, report: Report) {
  const model = new Model();
  const written: Written[] = [];
  const states: State[] = [];
  let known = 0;
  for (const entry of log) {
    const { number } = entry;
    try {
      replay.apply(entry);
    } catch (error) {
      report.expect(false, () => `entry ${number} does not apply: ${(error as Error).message}`);
      break;
    }
    if (!isMade(replay)) continue;
    const requests = replay.all<Request>(
      'SELECT number, id, plan FROM request WHERE number > ? ORDER BY number',
      known,
    );
    for (const request of requests) {
      known = request.number;
      checkSeen(request, model, replay, report);
      written.push({ id: request.id, entry: number });
    }
    const [look] = replay.all<Look>(LOOK) as [Look];
    const wanted = JSON.stringify(model.look(known));
    report.expect(
      JSON.stringify(look) === wanted,
      () => `after entry ${number} there is ${JSON.stringify(look)} instead of ${wanted}`,
    );
    const sum = look.accounts.split(',').reduce((all, cents) => all + Number(cents), 0);
    report.expect(sum === ACCOUNTS * CENTS, () => `after entry ${number} the sum is ${sum}`);
    states.push({ entry: number, look });
  }
  const lists = replay.all<{ items: string }>('SELECT items FROM list ORDER BY key');
  const same = JSON.stringify(lists.map(({ items }) => items)) === JSON.stringify(model.lists);
  report.expect(same, () => `lists are ${JSON.stringify(lists)} instead of ${model.lists}`);
  const seen = replay.all<{ request: string }>(
    'SELECT request FROM seen WHERE request NOT IN (SELECT id FROM request)',
  );
  report.expect(seen.length === 0, () => `${seen[0]?.request} has seen something and is not there`);
  return { written, states };
}

/** Whether the tables are there, with their first rows. */
function isMade(replay: Replay): boolean {
  const tables = replay.all("SELECT 1 FROM sqlite_schema WHERE name = 'seen'");
  return tables.length > 0 && replay.all('SELECT 1 FROM list').length > 0;
}

/** What a write has read is what was there just before it. */
function checkSeen({ id, plan }: Request, model: Model, replay: Replay, report: Report): void {
  const wanted = model.apply(id, JSON.parse(plan) as Plan);
  const seen = new Map(
    replay
      .all<{ place: number; value: string }>('SELECT place, value FROM seen WHERE request = ?', id)
      .map(({ place, value }) => [place, value]),
  );
  report.count('stored reads', wanted.size);
  report.expect(seen.size === wanted.size, () => `${id} has stored ${seen.size} reads`);
  for (const [place, value] of wanted) {
    const is = seen.get(place);
    report.expect(is === value, () => `${id} has read '${is}' at ${place}, where '${value}' was`);
  }
}

/** A replica that has seen all of the log is what the log makes, row by row. */
function checkReplica(
  file: string,
  log: readonly Logged[],
  wanted: readonly string[],
  report: Report,
): void {
  const db = new DatabaseSync(file);
  try {
    const [integrity] = db.prepare('PRAGMA integrity_check').all();
    const verdict = String(integrity?.integrity_check);
    report.expect(verdict === 'ok', () => `${file}: integrity: ${verdict}`);
    const keys = db.prepare('PRAGMA foreign_key_check').all();
    report.expect(
      keys.length === 0,
      () => `${file}: ${keys.length} rows whose parents are not there`,
    );
    const triggers = db.prepare("SELECT name FROM sqlite_schema WHERE type = 'trigger'").all();
    report.expect(triggers.length === 1, () => `${file}: ${triggers.length} triggers`);
    const position = db.prepare('SELECT number, token FROM poolite_replica').get();
    const last = log.at(-1);
    report.expect(
      position?.number === last?.number && position?.token === last?.token,
      () => `${file} is at entry ${position?.number} of ${last?.number}`,
    );
    const is = new Set(dump(db));
    const missing = wanted.filter((line) => !is.delete(line));
    report.expect(missing.length === 0, () => `${file} has not: ${missing.slice(0, 3).join('; ')}`);
    report.expect(is.size === 0, () => `${file} has also: ${[...is].slice(0, 3).join('; ')}`);
  } finally {
    db.close();
  }
  report.count('replicas compared');
}
