import type { Pool, Transaction } from '@poolite/core';
import type Database from 'better-sqlite3';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { freshFile, openPool, outcome } from './support/folder.ts';
import { observe, refuseUnhandled, turn } from './support/observer.ts';

refuseUnhandled();

const ACCOUNTS = 4;
const RUNS = Number(process.env.FC_RUNS ?? 28);

/** What a transaction may do. */
type Step =
  | { do: 'add'; account: number; amount: number }
  /** Fails where the mark is there: the statement alone, or, with OR ROLLBACK, the transaction. */
  | { do: 'mark'; mark: number; way: 'run' | 'script' | 'stream'; rollback: boolean }
  /** Breaks a deferred foreign key, which COMMIT refuses unless the parent comes before it. */
  | { do: 'orphan' }
  | { do: 'adopt' }
  | { do: 'look' }
  | { do: 'pause'; turns: number }
  | { do: 'savepoint'; steps: Step[]; fails: boolean }
  | { do: 'throw' };

interface Plan {
  steps: Step[];
  /** Whether a one-shot write is issued beside it. */
  oneShot: boolean;
}

const { step } = fc.letrec<{ step: Step }>((tie) => ({
  step: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    {
      weight: 6,
      arbitrary: fc.record({
        do: fc.constant('add' as const),
        account: fc.nat({ max: ACCOUNTS - 1 }),
        amount: fc.integer({ min: -50, max: 50 }),
      }),
    },
    {
      weight: 4,
      arbitrary: fc.record({
        do: fc.constant('mark' as const),
        mark: fc.nat({ max: 12 }),
        way: fc.constantFrom('run' as const, 'script' as const, 'stream' as const),
        rollback: fc.boolean(),
      }),
    },
    { weight: 1, arbitrary: fc.constant({ do: 'orphan' as const }) },
    { weight: 1, arbitrary: fc.constant({ do: 'adopt' as const }) },
    { weight: 2, arbitrary: fc.constant({ do: 'look' as const }) },
    {
      weight: 1,
      arbitrary: fc.record({ do: fc.constant('pause' as const), turns: fc.nat({ max: 2 }) }),
    },
    { weight: 1, arbitrary: fc.constant({ do: 'throw' as const }) },
    {
      weight: 2,
      arbitrary: fc.record({
        do: fc.constant('savepoint' as const),
        steps: fc.array(tie('step'), { maxLength: 4 }),
        fails: fc.boolean(),
      }),
    },
  ),
}));

const plans: fc.Arbitrary<Plan[]> = fc.array(
  fc.record({
    steps: fc.array(step, { maxLength: 6, size: 'max' }),
    oneShot: fc.boolean(),
  }),
  { minLength: 2, maxLength: 40, size: 'max' },
);

/** What the database must hold. */
class Model {
  balances: number[] = Array.from({ length: ACCOUNTS }, () => 0);
  marks = new Set<number>();
  log: number[] = [];

  copy(): Model {
    const copy = new Model();
    copy.balances = [...this.balances];
    copy.marks = new Set(this.marks);
    copy.log = [...this.log];
    return copy;
  }
}

/** One transaction of a plan, run against the pool and the model at once. */
class Run {
  readonly id: number;
  model: Model;
  orphans = 0;
  adopted = false;
  dead = false;
  readonly #deferring: string;

  constructor(id: number, model: Model, deferring: string) {
    this.id = id;
    this.model = model.copy();
    this.#deferring = deferring;
  }

  async steps(tx: Transaction, steps: readonly Step[]): Promise<void> {
    for (const step of steps) await this.#step(tx, step);
  }

  async #step(tx: Transaction, step: Step): Promise<void> {
    if (step.do === 'pause') return turn(step.turns);
    if (step.do === 'throw') throw new Error('planned');
    if (this.dead) {
      // Whatever it does now must fail, and leave no trace.
      expect(await outcome(tx.run('UPDATE account SET balance = 1e6'))).not.toBe('resolved');
      return;
    }
    switch (step.do) {
      case 'add':
        await tx.run('UPDATE account SET balance = balance + ? WHERE id = ?', [
          step.amount,
          step.account,
        ]);
        this.model.balances[step.account] = (this.model.balances[step.account] ?? 0) + step.amount;
        return;
      case 'mark':
        return this.#mark(tx, step);
      case 'orphan':
        if (this.#deferring !== '') await tx.run(this.#deferring);
        await tx.run('INSERT INTO child VALUES (?)', [this.id]);
        this.orphans++;
        return;
      case 'adopt':
        await tx.run('INSERT OR IGNORE INTO parent VALUES (?)', [this.id]);
        this.adopted = true;
        return;
      case 'look': {
        const rows = await tx.values('SELECT balance FROM account ORDER BY id');
        expect(rows.flat()).toEqual(this.model.balances);
        return;
      }
      case 'savepoint':
        return this.#savepoint(tx, step);
    }
  }

  async #mark(tx: Transaction, step: Step & { do: 'mark' }): Promise<void> {
    const { mark, way, rollback } = step;
    const sql = `INSERT ${rollback ? 'OR ROLLBACK ' : ''}INTO mark VALUES (${mark})`;
    const call = {
      run: () => tx.run(sql),
      script: () => tx.exec(`${sql}; SELECT 1`),
      stream: () => tx.iterate(`${sql} RETURNING m`).next(),
    }[way];
    const taken = this.model.marks.has(mark);
    expect(await outcome(call())).toBe(taken ? 'SQLITE_CONSTRAINT_PRIMARYKEY' : 'resolved');
    if (!taken) this.model.marks.add(mark);
    else if (rollback) this.dead = true;
  }

  async #savepoint(tx: Transaction, { steps, fails }: Step & { do: 'savepoint' }): Promise<void> {
    const { orphans, adopted } = this;
    const model = this.model.copy();
    try {
      await tx.savepoint(async (inner) => {
        await this.steps(inner, steps);
        if (fails) throw new Error('planned');
      });
    } catch (error) {
      if (this.dead) return;
      expect(String(error)).toBe('Error: planned');
      Object.assign(this, { orphans, adopted, model });
    }
  }

  /** Whether its COMMIT is refused. */
  get isRefused(): boolean {
    return this.dead || (this.orphans > 0 && !this.adopted);
  }
}

async function check(pool: Pool, observer: Database.Database, plan: Plan[], deferring: string) {
  const tables = ['account', 'mark', 'child', 'parent', 'log', 'noise'];
  await pool.batch(tables.map((table) => ({ sql: `DELETE FROM ${table}` })));
  await pool.run(`INSERT INTO account SELECT value, 0 FROM json_each('[0,1,2,3]')`);
  const isLogged = observer.prepare('SELECT count(*) FROM log WHERE id = ?').pluck();
  let model = new Model();
  const noise: Promise<unknown>[] = [];
  const transactions = plan.map(async ({ steps }, id) => {
    let expected = 'Error: planned';
    const answer = await outcome(
      pool.transaction(async (tx) => {
        const run = new Run(id, model, deferring);
        await tx.run('INSERT INTO log VALUES (?)', [id]);
        run.model.log.push(id);
        await run.steps(tx, steps);
        expected = run.isRefused ? 'refused' : 'resolved';
        // The next one begins as soon as this has returned: it must see all of it, or nothing.
        if (!run.isRefused) model = run.model;
      }),
    );
    if (expected === 'refused') expect(answer).not.toBe('resolved');
    else expect(answer).toBe(expected);
    expect(isLogged.get(id)).toBe(answer === 'resolved' ? 1 : 0);
  });
  plan.forEach(({ oneShot }, id) => {
    if (oneShot) noise.push(pool.run('INSERT INTO noise VALUES (?)', [id]));
  });
  // All of them end before the next plan begins, also where one does what it must not.
  const all = [...transactions, ...noise];
  await Promise.allSettled(all);
  await Promise.all(all);
  const column = (sql: string) => observer.prepare(sql).pluck().all();
  expect(column('SELECT balance FROM account ORDER BY id')).toEqual(model.balances);
  expect(column('SELECT m FROM mark ORDER BY m')).toEqual([...model.marks].sort((a, b) => a - b));
  expect(column('SELECT id FROM log ORDER BY id')).toEqual(model.log);
  expect(column('SELECT count(*) FROM noise')).toEqual([noise.length]);
  expect(observer.pragma('foreign_key_check')).toEqual([]);
}

describe('many small transactions at once are as if one ran after the other', { retry: 0 }, () => {
  test.each<[schema: string, foreignKey: string, deferring: string, shareCommits: boolean]>([
    ['that lets them share commits', '', 'PRAGMA defer_foreign_keys = ON', true],
    ['with a deferred foreign key', 'DEFERRABLE INITIALLY DEFERRED', '', true],
    ['whatever it says, without sharing', '', 'PRAGMA defer_foreign_keys = ON', false],
  ])('on a schema %s', async (_, foreignKey, deferring, shareCommits) => {
    const seed = Number(process.env.FC_SEED ?? Date.now() % 2 ** 31);
    console.log(`transactions against a model: FC_SEED=${seed}`);
    const pool = openPool(freshFile(), { shareCommits });
    await pool.exec(`
      CREATE TABLE account (id INTEGER PRIMARY KEY, balance INTEGER NOT NULL);
      CREATE TABLE mark (m INTEGER PRIMARY KEY);
      CREATE TABLE parent (id INTEGER PRIMARY KEY);
      CREATE TABLE child (p REFERENCES parent ${foreignKey});
      CREATE TABLE log (id INTEGER PRIMARY KEY);
      CREATE TABLE noise (id INTEGER PRIMARY KEY);
    `);
    const observer = observe(pool);
    const property = fc.asyncProperty(plans, (plan) => check(pool, observer, plan, deferring));
    await fc.assert(property, { seed, numRuns: RUNS });
    const { sharedCommits, count } = pool.stats().transactions;
    console.log(`${count} transactions, ${sharedCommits} with a commit of others`);
    // A deferred foreign key may fail at COMMIT, so that each has its own.
    if (!shareCommits || foreignKey !== '') expect(sharedCommits).toBe(0);
    else if (RUNS > 10) expect(sharedCommits).toBeGreaterThan(0);
  });
});
