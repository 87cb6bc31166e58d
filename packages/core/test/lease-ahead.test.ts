import type { Lease, Pool } from '@poolite/core';
import fc from 'fast-check';
import { beforeEach, describe, expect, test } from 'vitest';
import { deadlyPool } from './support/deadly.ts';
import { freshFile, openPool, outcome, writeModule } from './support/folder.ts';
import { observe, refuseUnhandled, turn } from './support/observer.ts';
import { Reference } from './support/reference.ts';
import { range } from './support/table.ts';

refuseUnhandled();

/** `tick()` counts its calls: what ran twice has a number that none before it had. */
const TICKS = `let ticks = 0;
export default (db) => {
  db.function('tick', { directOnly: false, deterministic: false }, () => ++ticks);
};`;
const SCHEMA = 'CREATE TABLE t (id INTEGER PRIMARY KEY, a UNIQUE, tick)';
const INSERT = 'INSERT INTO t (a, tick) VALUES (?, tick())';
/** After so many of them the pool knows that a transaction ends behind INSERT. */
const LESSONS = 4;

let pool: Pool;
let rows: () => { id: number; a: unknown; tick: number }[];

/** Runs one transaction as an ORM's save does; `then` is what it does behind its INSERT. */
async function save(a: unknown, then: (lease: Lease) => Promise<unknown> = commit) {
  const lease = await pool.lease('write', { early: true });
  try {
    await lease.run('BEGIN IMMEDIATE');
    const { lastInsertRowid } = await lease.run(INSERT, [a as number]);
    await then(lease);
    return Number(lastInsertRowid);
  } finally {
    await lease.release();
  }
}

const commit = (lease: Lease) => lease.run('COMMIT');
const rollback = (lease: Lease) => lease.run('ROLLBACK');

let lastId = 0;

beforeEach(async () => {
  const file = freshFile();
  pool = openPool(file, { setup: writeModule(file, 'ticks.mjs', TICKS) });
  await pool.exec(SCHEMA);
  const observer = observe(pool);
  const stored = observer.prepare('SELECT * FROM t WHERE id > ? ORDER BY id');
  rows = () => stored.all(lastId) as never;
  for (const n of range(LESSONS)) await save(`lesson ${n}`);
  lastId = LESSONS;
});

/** What is stored since this was asked last. */
function taken() {
  const stored = rows();
  lastId += stored.length;
  return stored;
}

/**
 * A transaction that goes on behind its INSERT, with others behind it: whether those ran ahead, and
 * were undone. How long transactions last decides whether they may share a commit.
 */
async function goesOn(): Promise<boolean> {
  const from = lastId;
  let seen: unknown;
  const first = save(`first ${from}`, async (lease) => {
    [seen] = await lease.values(
      'SELECT last_insert_rowid(), changes(), (SELECT count(*) FROM t WHERE id > ?)',
      [from],
    );
    await lease.run(INSERT, [`second ${from}`]);
    await lease.run('COMMIT');
  });
  const others = range(3).map((n) => save(`other ${n} ${from}`));
  expect(await Promise.all([first, ...others])).toEqual([from + 1, ...range(3, from + 3)]);
  expect(seen).toEqual([from + 1, 1, 1]);
  const stored = taken();
  const names = ['first', 'second', 'other 0', 'other 1', 'other 2'];
  expect(stored.map(({ a }) => a)).toEqual(names.map((name) => `${name} ${from}`));
  // Whoever went on has taught that such a transaction may.
  for (const n of range(LESSONS)) await save(`lesson ${n} ${from}`);
  taken();
  const [one, two] = stored;
  return (two?.tick ?? 0) - (one?.tick ?? 0) > 1;
}

async function untilAhead(): Promise<void> {
  while (!(await goesOn()));
}

describe('a first statement that runs before its turn', () => {
  test('gives each transaction its own result', async () => {
    await untilAhead();
    const ids = await Promise.all(range(60).map((a) => save(a)));
    expect(ids).toEqual(range(60, lastId + 1));
    expect(taken().map(({ a }) => a)).toEqual(range(60));
  });

  test('runs again where the transaction before it goes on, which sees nothing of it', async () => {
    await untilAhead();
  });

  test('is not stored by a transaction that is rolled back, and runs in its turn', async () => {
    await untilAhead();
    const first = save('first', rollback);
    const others = range(3).map((n) => save(`other ${n}`));
    await Promise.all([first, ...others]);
    expect(rows().map(({ id, a }) => [id, a])).toEqual(
      range(3).map((n) => [lastId + 1 + n, `other ${n}`]),
    );
  });

  test('is undone by its own transaction, and none besides', async () => {
    await untilAhead();
    await Promise.all(range(30).map((n) => save(n, n % 3 === 1 ? rollback : commit)));
    expect(rows().map(({ a }) => a)).toEqual(range(30).filter((n) => n % 3 !== 1));
  });

  test('fails for its own caller, and for none besides', async () => {
    await untilAhead();
    const values = ['a', 'b', 'a', 'c', 'b', 'd'];
    const outcomes = await Promise.all(values.map((a) => outcome(save(a))));
    const unique = 'SQLITE_CONSTRAINT_UNIQUE';
    expect(outcomes).toEqual(['resolved', 'resolved', unique, 'resolved', unique, 'resolved']);
    expect(rows().map(({ a }) => a)).toEqual(['a', 'b', 'c', 'd']);
  });

  test('is not stored where its lease is released before its turn', async () => {
    await untilAhead();
    let waiting: Promise<string> | undefined;
    let lease: Lease | undefined;
    const first = save('first', async (mine) => {
      await lease?.release();
      await mine.run('COMMIT');
    });
    const released = (async () => {
      lease = await pool.lease('write', { early: true });
      await lease.run('BEGIN IMMEDIATE');
      waiting = outcome(lease.run(INSERT, ['released']));
    })();
    await Promise.all([first, released, save('last')]);
    expect(await waiting).toBe('POOL_MISUSE');
    expect(rows().map(({ a }) => a)).toEqual(['first', 'last']);
  });

  test('is nobody’s where the pool closes by force', async () => {
    await untilAhead();
    const first = save('first', async () => {
      await pool.close({ force: true });
      throw new Error('closed');
    });
    const others = range(3).map((n) => outcome(save(`other ${n}`)));
    await expect(first).rejects.toThrow('closed');
    expect(await Promise.all(others)).toEqual(range(3).map(() => 'POOL_CLOSED'));
    expect(rows()).toEqual([]);
  });

  test('waits for its turn where a table can undo a whole transaction', async () => {
    await untilAhead();
    await pool.exec('CREATE TABLE u (a UNIQUE ON CONFLICT ROLLBACK)');
    for (const _ of range(5)) expect(await goesOn()).toBe(false);
  });

  test('waits for its turn while somebody listens for changes', async () => {
    await untilAhead();
    pool.on('change', () => {});
    // From here on the thread knows.
    await pool.run('DELETE FROM t WHERE id < 0');
    for (const _ of range(5)) expect(await goesOn()).toBe(false);
  });
});

/** Early transactions of one INSERT each, all at once: how each ended, and what is stored must agree. */
async function checkAnswers(mine: Pool, sql: string, all: readonly (readonly [number, unknown])[]) {
  const one = async (params: readonly unknown[]) => {
    const lease = await mine.lease('write', { early: true });
    try {
      await lease.run('BEGIN IMMEDIATE');
      await lease.run(sql, params as [number]);
      await lease.run('COMMIT');
    } finally {
      await lease.release();
    }
  };
  // They teach that a transaction ends behind the statement.
  for (const n of range(12)) await one([1000 + n, 0]);
  const answers = await Promise.all(all.map((params) => outcome(one(params))));
  const stored = observe(mine)
    .prepare('SELECT id FROM t WHERE id < 1000 ORDER BY id')
    .pluck()
    .all();
  const unknown = all.filter((_, i) => answers[i] === 'POOL_OUTCOME_UNKNOWN').map(([id]) => id);
  expect(stored.filter((id) => !unknown.includes(id as number))).toEqual(
    all.filter((_, i) => answers[i] === 'resolved').map(([id]) => id),
  );
  return answers;
}

test('one that finds the disk full fails, and what it undid with it is not acknowledged', async () => {
  const file = freshFile();
  const source = "export default (db) => db.exec('PRAGMA max_page_count = 100');";
  const mine = openPool(file, { setup: writeModule(file, 'small.mjs', source) });
  await mine.exec('CREATE TABLE t (id INTEGER PRIMARY KEY, a)');
  const all = range(9).map((n) => [n, n === 4 ? 'x'.repeat(1_000_000) : 'y'] as const);
  const answers = await checkAnswers(mine, 'INSERT INTO t (id, a) VALUES (?, ?)', all);
  expect(answers[4]).toBe('SQLITE_FULL');
  expect(new Set(answers)).toEqual(new Set(['resolved', 'SQLITE_FULL']));
  expect(answers.slice(5)).toEqual(range(4).map(() => 'resolved'));
});

test('one that kills the thread leaves no answer untrue, and the writer to the others', async () => {
  const { pool: mine, lost } = await deadlyPool();
  const all = range(9).map((n) => [n, n === 4 ? 1 : 0] as const);
  const answers = await checkAnswers(mine, 'INSERT INTO t (id, who) VALUES (?, die_if(?))', all);
  expect(answers[4]).toMatch(/POOL_THREAD_LOST|POOL_OUTCOME_UNKNOWN/);
  expect(answers.at(-1)).toBe('resolved');
  expect(new Set(lost)).toEqual(new Set(['writer']));
});

type Step =
  | { do: 'insert'; a: number }
  | { do: 'update'; a: number; to: number }
  | { do: 'look' }
  | { do: 'think'; turns: number };

interface Plan {
  first: number;
  steps: Step[];
  ends: 'COMMIT' | 'ROLLBACK';
}

const value = fc.nat({ max: 30 });
const plans: fc.Arbitrary<Plan[]> = fc.array(
  fc.record({
    first: value,
    // Most end behind their first statement: else nothing runs ahead.
    steps: fc.oneof(
      { weight: 4, arbitrary: fc.constant<Step[]>([]) },
      {
        weight: 1,
        arbitrary: fc.array(
          fc.oneof<fc.Arbitrary<Step>[]>(
            fc.record({ do: fc.constant('insert' as const), a: value }),
            fc.record({ do: fc.constant('update' as const), a: value, to: value }),
            fc.constant({ do: 'look' as const }),
            fc.record({ do: fc.constant('think' as const), turns: fc.nat({ max: 2 }) }),
          ),
          { minLength: 1, maxLength: 3 },
        ),
      },
    ),
    ends: fc.constantFrom('COMMIT', 'COMMIT', 'COMMIT', 'ROLLBACK'),
  }),
  { minLength: 2, maxLength: 60, size: 'max' },
);

const FIRST = 'INSERT INTO m (a) VALUES (?)';
const UPDATE = 'UPDATE m SET a = ? WHERE a = ?';
const LOOK = 'SELECT count(*), sum(a) FROM m';
/** What a transaction may ask that has written something: else it is told of another's. */
const LOOK_CLOSER = 'SELECT count(*), sum(a), last_insert_rowid(), changes() FROM m';

/** A statement of a plan, on whatever runs it. */
function statementOf(
  step: Exclude<Step, { do: 'think' }>,
  [first]: readonly unknown[],
): [sql: string, params: number[]] {
  if (step.do === 'insert') return [FIRST, [step.a]];
  if (step.do === 'update') return [UPDATE, [step.to, step.a]];
  return [typeof first === 'string' ? LOOK : LOOK_CLOSER, []];
}

test('transactions that begin early come to what they come to one after another', async () => {
  await untilAhead();
  const schema = 'CREATE TABLE m (id INTEGER PRIMARY KEY, a UNIQUE)';
  await pool.exec(schema);
  const reference = new Reference(':memory:');
  reference.exec(schema);
  await fc.assert(
    fc.asyncProperty(plans, async (all) => {
      const told = await Promise.all(all.map((plan) => runPlan(plan)));
      expect(told).toEqual(all.map((plan) => expected(reference, plan)));
      const table = 'SELECT * FROM m ORDER BY id';
      expect(await pool.all(table)).toEqual(reference.prepare(table).all());
      // Half of the numbers are free for the next.
      const some = 'DELETE FROM m WHERE a % 2 = id % 2';
      await pool.run(some);
      reference.exec(some);
    }),
    { numRuns: Number(process.env.FC_RUNS ?? 60) },
  );
  expect(await pool.all('PRAGMA integrity_check')).toEqual([{ integrity_check: 'ok' }]);
});

async function runPlan({ first, steps, ends }: Plan): Promise<unknown[]> {
  const told: unknown[] = [];
  const lease = await pool.lease('write', { early: true });
  const tell = async (work: Promise<unknown>) => {
    told.push(await work.catch(({ code }: { code: string }) => code));
  };
  await lease.run('BEGIN IMMEDIATE');
  await tell(lease.run(FIRST, [first]));
  for (const step of steps) {
    if (step.do === 'think') {
      await turn(step.turns);
      continue;
    }
    const [sql, params] = statementOf(step, told);
    await tell(step.do === 'look' ? lease.values(sql, params) : lease.run(sql, params));
  }
  await lease.run(ends);
  await lease.release();
  return told;
}

function expected(db: InstanceType<typeof Reference>, { first, steps, ends }: Plan): unknown[] {
  const told: unknown[] = [];
  const tell = (work: () => unknown) => {
    try {
      told.push(work());
    } catch (error) {
      told.push((error as { code: string }).code);
    }
  };
  db.exec('BEGIN IMMEDIATE');
  tell(() => db.prepare(FIRST).run(first));
  for (const step of steps) {
    if (step.do === 'think') continue;
    const [sql, params] = statementOf(step, told);
    const statement = db.prepare(sql);
    tell(() => (step.do === 'look' ? statement.raw().all(...params) : statement.run(...params)));
  }
  db.exec(ends);
  return told;
}
