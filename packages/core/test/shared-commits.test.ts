import type { Pool, Transaction } from '@poolite/core';
import type Database from 'better-sqlite3';
import { beforeEach, describe, expect, test } from 'vitest';
import { openPool, outcome } from './support/folder.ts';
import { Gate, refuseUnhandled } from './support/observer.ts';
import { untilShared } from './support/shared-commits.ts';
import { sharedPool } from './support/shared-pool.ts';
import { INSERT, NUMBERS, numbersOf, openNumbers, range } from './support/table.ts';

refuseUnhandled();

const OR_ROLLBACK = "INSERT OR ROLLBACK INTO t VALUES (-1, 'again')";
const TAKEN = 'SQLITE_CONSTRAINT_PRIMARYKEY';
const FOREIGN = 'SQLITE_CONSTRAINT_FOREIGNKEY';
const TRIGGER = 'SQLITE_CONSTRAINT_TRIGGER';
const GUARD = `BEFORE INSERT ON t WHEN new.b = 'forbidden'
  BEGIN SELECT raise(ROLLBACK, 'the trigger says no'); END`;
const FORBIDDEN = "INSERT INTO t VALUES (1000, 'forbidden')";
const RELATIVES =
  'CREATE TABLE parent (id INTEGER PRIMARY KEY); CREATE TABLE child (p REFERENCES parent';
const DEFERRED = `${RELATIVES} DEFERRABLE INITIALLY DEFERRED)`;
const ORPHAN = 'INSERT INTO child VALUES (404)';
const DEFER = 'PRAGMA defer_foreign_keys = ON';

const SCRIPT = `${NUMBERS}; INSERT INTO t VALUES (-1, 'there')`;

const freshPool = sharedPool();
let pool: Pool;
let observer: Database.Database;
let sharedBefore = 0;

beforeEach(async () => {
  ({ pool, observer } = numbersOf(await freshPool(SCRIPT)));
  sharedBefore = pool.stats().transactions.sharedCommits;
});

/** Another pool for the test, which leaves more in it than tables. */
async function poolOfItsOwn(): Promise<void> {
  ({ pool, observer } = await openNumbers(SCRIPT));
  sharedBefore = 0;
}

const stored = () => observer.prepare('SELECT a FROM t WHERE a >= 0 ORDER BY a').pluck().all();
const shared = () => pool.stats().transactions.sharedCommits - sharedBefore;
const insert = (a: number, on = pool) => on.transaction((tx) => tx.run(INSERT, [a]));

describe('transactions that end while others wait', () => {
  test('share commits', async () => {
    const full = openPool(pool.file, { synchronous: 'full' });
    let rounds = 0;
    while (full.stats().transactions.sharedCommits <= 32) {
      await Promise.all(range(64, rounds++ * 64).map((a) => insert(a, full)));
    }
    const { count, sharedCommits } = full.stats().transactions;
    expect(count).toBe(rounds * 64);
    expect(sharedCommits).toBeLessThan(count);
    expect(stored()).toEqual(range(count));
  });

  test('share commits with those before one that is rolled back', async () => {
    await poolOfItsOwn();
    const back = (a: number) =>
      outcome(
        pool.transaction(async (tx) => {
          await tx.run(INSERT, [a]);
          throw new Error('changed my mind');
        }),
      );
    const kept: number[] = [];
    for (let round = 0; shared() === 0 && round < 200; round++) {
      const all = range(16, round * 16);
      // No two that commit follow one another.
      await Promise.all(all.map((a) => (a % 2 === 0 ? insert(a) : back(a))));
      kept.push(...all.filter((a) => a % 2 === 0));
    }
    expect(shared()).toBeGreaterThan(0);
    expect(stored()).toEqual(kept);
  });

  test('are answered after the commit, never before', async () => {
    const select = observer.prepare('SELECT 1 FROM t WHERE a = ?');
    const early: number[] = [];
    const work = async (a: number) => {
      await insert(a);
      if (select.get(a) === undefined) early.push(a);
    };
    for (let round = 0; round < 12 || shared() === 0; round++) {
      await Promise.all(range(64, round * 64).map(work));
    }
    expect(early).toEqual([]);
  });

  test('are seen by nobody before the commit, and by each other', async () => {
    const seen = range(32).map((a) =>
      pool.transaction(async (tx) => {
        await tx.run(INSERT, [a]);
        const mine = await tx.values('SELECT count(*) FROM t WHERE a >= 0');
        // What is not committed is nobody else's, however many have ended before.
        expect(stored()).not.toContain(a);
        return mine[0]?.[0];
      }),
    );
    expect(await Promise.all(seen)).toEqual(range(32, 1));
  });

  test('each have a commit of their own with shareCommits: false', async () => {
    const alone = openPool(pool.file, { shareCommits: false });
    await Promise.all(range(64).map((a) => insert(a, alone)));
    expect(alone.stats().transactions).toMatchObject({ count: 64, sharedCommits: 0 });
    expect(stored()).toEqual(range(64));
  });

  test('do not wait for one behind them that has not begun', async () => {
    await poolOfItsOwn();
    const gate = new Gate();
    const quick = range(10).map((a) => insert(a));
    const idle = pool.transaction(async (tx) => {
      await gate.opened;
      await tx.run(INSERT, [10]);
    });
    await Promise.all(quick);
    expect(stored()).toEqual(range(10));
    gate.open();
    await idle;
  });

  test('share no more once one of them was slow, until that is forgotten', async () => {
    await poolOfItsOwn();
    let next = 0;
    const some = (count: number) => {
      next += count;
      return Promise.all(range(count, next - count).map((a) => insert(a)));
    };
    await untilShared(pool, () => some(10));
    const before = shared();
    await pool.transaction(async (tx) => {
      await tx.run(INSERT, [next++]);
      await new Promise((resolve) => setTimeout(resolve, 200));
    });
    await some(8);
    expect(shared()).toBe(before);
    await untilShared(pool, () => some(100));
    expect(stored()).toEqual(range(next));
  });

  test('are followed by deferred and exclusive ones, scripts, bulks and leases', async () => {
    await poolOfItsOwn();
    const value = (a: number) => ({ a, done: insert(a) });
    const others = [
      pool.transaction((tx) => tx.run(INSERT, [100]), { behavior: 'deferred' }),
      pool.transaction((tx) => tx.run(INSERT, [101]), { behavior: 'exclusive' }),
      pool.exec('INSERT INTO t (a) VALUES (102); BEGIN; INSERT INTO t (a) VALUES (103); COMMIT'),
      pool.runMany(INSERT, [[104], [105]]),
      pool.run('VACUUM'),
      pool.checkpoint('PASSIVE'),
      pool.lease('write').then(async (lease) => {
        await lease.run(INSERT, [106]);
        // A lease without BEGIN is in autocommit: it is stored at once.
        expect(stored()).toContain(106);
        await lease.release();
      }),
      pool.run(INSERT, [107]),
    ];
    const mixed = others.flatMap((other, i) => [other, value(i * 2).done, value(i * 2 + 1).done]);
    await Promise.all(mixed);
    expect(stored()).toEqual([...range(16), ...range(8, 100)]);
  });
});

/** Transactions that must not feel what one in their midst does. */
async function amid(guilty: (tx: Transaction) => Promise<unknown>): Promise<string> {
  const early: number[] = [];
  const quick = async (a: number) => {
    await insert(a);
    if (observer.prepare('SELECT 1 FROM t WHERE a = ?').get(a) === undefined) early.push(a);
  };
  const before = range(12).map((a) => outcome(quick(a)));
  const result = outcome(pool.transaction(guilty));
  const after = range(12, 12).map((a) => outcome(quick(a)));
  const outcomes = await Promise.all([...before, ...after]);
  expect(outcomes).toEqual(outcomes.map(() => 'resolved'));
  expect(early).toEqual([]);
  expect(stored().filter((a) => Number(a) < 24)).toEqual(range(24));
  return result;
}

describe('one that fails in the midst of others undoes its own work alone', () => {
  test.each<[what: string, setup: string, statements: string[], code: string]>([
    ['OR ROLLBACK', '', [OR_ROLLBACK], TAKEN],
    [
      'ON CONFLICT ROLLBACK',
      'CREATE TABLE g (x UNIQUE ON CONFLICT ROLLBACK); INSERT INTO g VALUES (1)',
      ['INSERT INTO g VALUES (1)'],
      'SQLITE_CONSTRAINT_UNIQUE',
    ],
    ['RAISE(ROLLBACK)', `CREATE TRIGGER guard ${GUARD}`, [FORBIDDEN], TRIGGER],
    [
      'RAISE(ROLLBACK) of a temporary trigger',
      `CREATE TEMP TRIGGER guard ${GUARD}`,
      [FORBIDDEN],
      TRIGGER,
    ],
    ['a deferred foreign key of the schema', DEFERRED, [ORPHAN], FOREIGN],
    ['a foreign key deferred by PRAGMA', `${RELATIVES})`, [DEFER, ORPHAN], FOREIGN],
    ['a foreign key deferred by a script', `${RELATIVES})`, [`${DEFER};${ORPHAN}`], FOREIGN],
    ['a script with OR ROLLBACK', '', [`INSERT INTO t VALUES (2000, 0);${OR_ROLLBACK}`], TAKEN],
  ])('%s', async (_, setup, statements, code) => {
    if (setup.includes('TEMP')) await poolOfItsOwn();
    await pool.exec(setup);
    const work = (first: boolean) => async (tx: Transaction) => {
      if (!first) await tx.run(INSERT, [1001]);
      for (const sql of statements) await (sql.includes(';') ? tx.exec(sql) : tx.run(sql));
    };
    expect(await amid(work(true)), 'as its first statement').toBe(code);
    await pool.run('DELETE FROM t WHERE a >= 0');
    expect(await amid(work(false)), 'as a later statement').toBe(code);
    expect(stored()).toEqual(range(24));
  });

  test('a temporary trigger that came by a group of writes', async () => {
    await poolOfItsOwn();
    await amid((tx) => tx.run(INSERT, [1001]));
    await Promise.all([
      pool.run(`CREATE TEMP TRIGGER guard ${GUARD}`),
      pool.run('DELETE FROM t WHERE a >= 0'),
    ]);
    expect(await amid((tx) => tx.run(INSERT, [1001]).then(() => tx.run(FORBIDDEN)))).toBe(TRIGGER);
    expect(stored()).toEqual(range(24));
  });

  test('an attached database whose schema changed in a group of writes', async () => {
    await poolOfItsOwn();
    await pool.run('ATTACH ? AS other', [`${pool.file}-other`]);
    await pool.run('CREATE TABLE other.g (x)');
    await amid((tx) => tx.run(INSERT, [1001]));
    await pool.run('DELETE FROM t WHERE a >= 0');
    await pool.batch([
      { sql: 'CREATE TABLE other.u (x UNIQUE ON CONFLICT ROLLBACK)' },
      { sql: 'INSERT INTO other.u VALUES (1)' },
    ]);
    const work = async (tx: Transaction) => {
      await tx.run(INSERT, [1001]);
      await tx.run('INSERT INTO u VALUES (1)');
    };
    expect(await amid(work)).toBe('SQLITE_CONSTRAINT_UNIQUE');
    expect(stored()).toEqual(range(24));
  });

  test('a throw, and a rejected statement', async () => {
    const thrown = amid(async (tx) => {
      await tx.run(INSERT, [1001]);
      throw new Error('mine');
    });
    expect(await thrown).toBe('Error: mine');
    expect(await outcome(pool.transaction((tx) => tx.run(INSERT, [-1])))).toBe(TAKEN);
    expect(stored()).toEqual(range(24));
  });

  test('one that goes on after OR ROLLBACK is refused everything', async () => {
    const result = amid(async (tx) => {
      await tx.run(INSERT, [1001]);
      expect(await outcome(tx.run(OR_ROLLBACK))).toBe(TAKEN);
      expect(await outcome(tx.run(INSERT, [1002]))).not.toBe('resolved');
      expect(await outcome(tx.savepoint((inner) => inner.run(INSERT, [1003])))).not.toBe(
        'resolved',
      );
    });
    expect(await result).not.toBe('resolved');
    expect(stored()).toEqual(range(24));
  });

  test('one that is the last: those who ended before it are answered', async () => {
    const quick = range(12).map((a) => insert(a));
    const last = pool.transaction(async (tx) => {
      await tx.run(INSERT, [1001]);
      await outcome(tx.run(OR_ROLLBACK));
    });
    expect(await outcome(last)).not.toBe('resolved');
    await Promise.all(quick);
    expect(stored()).toEqual(range(12));
  });

  test('a stream of a statement with OR ROLLBACK', async () => {
    const result = amid(async (tx) => {
      await tx.run(INSERT, [1001]);
      const rows = tx.iterate(`${OR_ROLLBACK} RETURNING a`);
      expect(await outcome(rows.next())).toBe(TAKEN);
      expect(await outcome(tx.run(INSERT, [1002])), 'not in autocommit').not.toBe('resolved');
    });
    expect(await result).not.toBe('resolved');
    expect(stored()).toEqual(range(24));
  });

  test.each([
    'COMMIT',
    'ROLLBACK',
    'END; BEGIN',
    'CREATE TABLE x (trigger); COMMIT',
    'INSERT INTO t (a) VALUES (1002); COMMIT',
  ])('a script that says %s', async (script) => {
    const result = amid(async (tx) => {
      await tx.run(INSERT, [1001]);
      await tx.exec(script);
    });
    expect(await result).not.toBe('resolved');
    expect(stored()).toEqual(range(24));
  });
});

// What such a trigger undoes was never committed, so nobody is told otherwise; but those who end
// before it and share its commit fail with it.
test('a transaction that makes a trigger with RAISE(ROLLBACK) and fires it: answers stay true', async () => {
  const quick = range(12).map(async (a) => ({ a, answer: await outcome(insert(a)) }));
  const guilty = pool.transaction(async (tx) => {
    await tx.run(INSERT, [1001]);
    await tx.run(`CREATE TRIGGER guard ${GUARD}`);
    await tx.run(FORBIDDEN);
  });
  expect(await outcome(guilty)).toBe(TRIGGER);
  const answers = await Promise.all(quick);
  const resolved = answers.filter(({ answer }) => answer === 'resolved');
  expect(stored()).toEqual(resolved.map(({ a }) => a));
  await insert(12);
  expect(stored()).toContain(12);
});

describe('a statement with OR ROLLBACK does the same behind others as alone', () => {
  test.each<[what: string, schema: string, sql: string]>([
    ['UNIQUE', 'x UNIQUE', 'INSERT OR ROLLBACK INTO v VALUES (1)'],
    ['NOT NULL', 'x NOT NULL', 'INSERT OR ROLLBACK INTO v VALUES (NULL)'],
    ['CHECK', 'x CHECK (x < 100)', 'INSERT OR ROLLBACK INTO v VALUES (100)'],
    ['a foreign key', 'x REFERENCES parent', 'INSERT OR ROLLBACK INTO v VALUES (404)'],
    ['RAISE(ABORT)', 'x', "INSERT OR ROLLBACK INTO v VALUES ('abort')"],
    ['RAISE(FAIL)', 'x', "INSERT OR ROLLBACK INTO v VALUES ('fail')"],
    ['an UPDATE', 'x UNIQUE', 'UPDATE OR ROLLBACK v SET x = 1'],
    [
      'a wrong type',
      'x INT) STRICT; CREATE TABLE unused (y',
      "INSERT OR ROLLBACK INTO v VALUES ('x')",
    ],
    ['no such table', 'x', 'INSERT OR ROLLBACK INTO nowhere VALUES (1)'],
    ['no failure', 'x', 'INSERT OR ROLLBACK INTO v VALUES (7)'],
  ])('%s', async (_, schema, sql) => {
    await pool.exec(`
      CREATE TABLE parent (id INTEGER PRIMARY KEY); INSERT INTO parent VALUES (1), (2);
      CREATE TABLE v (${schema}); INSERT INTO v VALUES (1), (2);
      CREATE TRIGGER tr BEFORE INSERT ON v WHEN new.x IN ('abort', 'fail') BEGIN
        SELECT CASE new.x WHEN 'abort' THEN raise(ABORT, 'abort') ELSE raise(FAIL, 'fail') END;
      END`);
    const observed: string[] = [];
    const work = async (tx: Transaction) => {
      await tx.run(INSERT, [1001]);
      observed.push(await outcome(tx.run(sql)));
      observed.push((await outcome(tx.run(INSERT, [1002]))) === 'resolved' ? 'goes on' : 'is over');
    };
    const alone = (await outcome(pool.transaction(work))) === 'resolved';
    const [code, goesOn, ...none] = observed.splice(0);
    expect(none).toEqual([]);
    await pool.run('DELETE FROM t WHERE a >= 0');
    const behind = (await amid(work)) === 'resolved';
    expect([...observed, behind]).toEqual([code, goesOn, alone]);
  });
});
