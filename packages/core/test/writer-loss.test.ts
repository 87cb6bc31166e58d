import Database from 'better-sqlite3';
import { expect, test } from 'vitest';
import { deadlyPool } from './support/deadly.ts';
import { allSettled, openPool, outcome } from './support/folder.ts';

/** What is in the file, as another connection sees it. */
function stored(file: string): number[] {
  const db = new Database(file, { readonly: true });
  const ids = db.prepare('SELECT id FROM t ORDER BY id').pluck().all() as number[];
  db.close();
  return ids;
}

/** What was answered must be true: stored, not stored, or honestly unknown. */
function checkTruth(file: string, answers: ReadonlyMap<number, string>): Record<string, number> {
  const ids = new Set(stored(file));
  const counts: Record<string, number> = {};
  for (const [id, answer] of answers) {
    counts[answer] = (counts[answer] ?? 0) + 1;
    if (answer === 'resolved') expect(ids, `row ${id} was acknowledged`).toContain(id);
    else if (answer === 'POOL_THREAD_LOST') expect(ids, `row ${id} was denied`).not.toContain(id);
    else expect(answer).toBe('POOL_OUTCOME_UNKNOWN');
  }
  return counts;
}

function busy(ms: number): void {
  const end = performance.now() + ms;
  while (performance.now() < end);
}

const insert = 'INSERT INTO t (id) VALUES (?)';
const deadlyInsert = 'INSERT INTO t (id, who) VALUES (?, die())';

test('a lone write that kills the writer is not stored, and the next one is', async () => {
  const { pool, file, lost } = await deadlyPool();
  const answers = new Map([[1, await outcome(pool.run(deadlyInsert, [1]))]]);
  answers.set(2, await outcome(pool.run(insert, [2])));
  checkTruth(file, answers);
  expect(answers.get(2)).toBe('resolved');
  expect(['POOL_THREAD_LOST', 'POOL_OUTCOME_UNKNOWN']).toContain(answers.get(1));
  expect(lost).toEqual(['writer']);
  await pool.ready();
  expect(pool.stats()).toMatchObject({ state: 'open', threadsLost: 1 });
  expect(await pool.get('SELECT count(*) AS n FROM t')).toEqual({ n: 1 });
});

for (const others of [1, 20, 2000]) {
  test(`${others} writes on either side of the deadly one: each answer is true`, async () => {
    const { pool, file } = await deadlyPool();
    const writes: [number, Promise<unknown>][] = [];
    for (let id = 0; id < others; id++) writes.push([id, pool.run(insert, [id])]);
    writes.push([others, pool.run(deadlyInsert, [others])]);
    for (let id = others + 1; id < 2 * others; id++) writes.push([id, pool.run(insert, [id])]);
    await new Promise((resolve) => setImmediate(resolve));
    writes.push([5000, pool.run(insert, [5000])]);
    const read = outcome(pool.get('SELECT count(*) FROM t'));
    const answers = new Map<number, string>();
    await Promise.all(writes.map(async ([id, write]) => answers.set(id, await outcome(write))));
    expect(await read).toBe('resolved');
    const counts = checkTruth(file, answers);
    expect(answers.get(others)).not.toBe('resolved');
    // A slow machine ends a group early, and the rest of it gathers again with what came since.
    const early = others < 512 && answers.get(0) === 'resolved';
    if (!early) expect(answers.get(5000)).toBe('resolved');
    // Those of the group that died had not reached their commit, and groups have a bound.
    expect(counts.POOL_OUTCOME_UNKNOWN ?? 0).toBeLessThanOrEqual(1);
    expect(counts.POOL_THREAD_LOST ?? 0).toBeLessThanOrEqual(512);
    expect(await outcome(pool.run(insert, [6000]))).toBe('resolved');
  });
}

test('a batch that kills the writer leaves nothing, and is said to have left nothing', async () => {
  const { pool, file } = await deadlyPool();
  const batch = (ids: number[], end: string) =>
    pool.batch([...ids.map((id) => ({ sql: insert, params: [id] })), { sql: end }]);
  const all = [batch([1, 2], 'SELECT 1'), batch([3, 4], 'SELECT die()'), batch([5, 6], 'SELECT 1')];
  const outcomes = await Promise.all(all.map(outcome));
  const answers = new Map<number, string>();
  outcomes.forEach((answer, i) => {
    answers.set(1 + 2 * i, answer);
    answers.set(2 + 2 * i, answer);
  });
  checkTruth(file, answers);
  expect(outcomes[1]).not.toBe('resolved');
  const lone = await outcome(batch([7, 8], 'SELECT die()'));
  checkTruth(file, new Map([7, 8].map((id) => [id, lone])));
});

test('a transaction that kills the writer rejects, and those that wait behind it go on', async () => {
  const { pool, file } = await deadlyPool();
  const inside: string[] = [];
  const deadly = pool.transaction(async (tx) => {
    await tx.run(insert, [1]);
    inside.push(await outcome(tx.run(deadlyInsert, [2])));
    inside.push(await outcome(tx.run(insert, [3])));
    inside.push(await outcome(tx.get('SELECT 1')));
    inside.push(await outcome(tx.iterate('SELECT 1').next()));
    inside.push(await outcome(tx.exec('SELECT 1')));
    inside.push(await outcome(tx.savepoint((inner) => inner.run(insert, [4]))));
  });
  const waiting = [10, 11, 12].map((id) => pool.transaction((tx) => tx.run(insert, [id])));
  const write = pool.run(insert, [20]);
  const outcomes = await allSettled({
    deadly,
    write,
    ...Object.fromEntries(waiting.map((each, i) => [`waiting ${i}`, each])),
  });
  expect(outcomes).toEqual({
    deadly: 'POOL_THREAD_LOST',
    write: 'resolved',
    'waiting 0': 'resolved',
    'waiting 1': 'resolved',
    'waiting 2': 'resolved',
  });
  expect(inside).toEqual(Array(6).fill('POOL_THREAD_LOST'));
  expect(stored(file)).toEqual([10, 11, 12, 20]);
});

test('a transaction that catches the loss and returns all the same rejects', async () => {
  const { pool, file } = await deadlyPool();
  const work = pool.transaction(async (tx) => {
    await tx.run(insert, [1]);
    await tx.get('SELECT die()').catch(() => {});
    return 'fine';
  });
  expect(await outcome(work)).toBe('POOL_THREAD_LOST');
  expect(stored(file)).toEqual([]);
});

test('transactions that share a commit with the deadly one are answered truly', async () => {
  const { pool, file, lost } = await deadlyPool();
  const shared = () => pool.stats().transactions.sharedCommits;
  let round = 0;
  for (; round < 5 || shared() === 0; round++) {
    const answers = new Map<number, string>();
    const work = Array.from({ length: 40 }, async (_, i) => {
      const id = round * 100 + i;
      const done = pool.transaction(async (tx) => {
        await tx.run(insert, [id]);
        if (i === 25) await tx.get('SELECT die()');
      });
      answers.set(id, await outcome(done));
    });
    await Promise.all(work);
    const counts = checkTruth(file, answers);
    expect(answers.get(round * 100 + 25)).toBe('POOL_THREAD_LOST');
    expect(answers.get(round * 100 + 39)).toBe('resolved');
    expect(counts.POOL_OUTCOME_UNKNOWN ?? 0).toBe(0);
  }
  expect(lost).toHaveLength(round);
});

test('a commit answered just before the thread dies is not denied', async () => {
  const { pool, file } = await deadlyPool({ shareCommits: false });
  const answers = new Map<number, string>();
  for (let i = 0; i < 20; i++) {
    const first = pool.transaction((tx) => tx.run(insert, [i]));
    const second = pool.transaction(async (tx) => {
      // With the commit in one message, or in the next one.
      if (i % 2 === 0) await null;
      const deadly = tx.get('SELECT die()');
      // The answer and the end of the thread then wait side by side for this thread's attention.
      process.nextTick(() => setImmediate(() => busy(25)));
      return deadly;
    });
    const outcomes = await allSettled({ first, second });
    answers.set(i, outcomes.first as string);
    expect(outcomes.second).toBe('POOL_THREAD_LOST');
  }
  checkTruth(file, answers);
  for (const answer of answers.values()) expect(answer).not.toBe('POOL_THREAD_LOST');
});

test('a lease that kills the writer hears of it, and can be released', async () => {
  const { pool, file } = await deadlyPool();
  for (const begin of [true, false]) {
    const lease = await pool.lease('write');
    const waiting = pool.run(insert, [begin ? 10 : 11]);
    if (begin) await lease.run('BEGIN IMMEDIATE');
    await lease.run(insert, [begin ? 1 : 2]);
    const outcomes = await allSettled({
      deadly: lease.run(deadlyInsert, [3]),
      next: lease.run(insert, [4]),
      read: lease.get('SELECT 1'),
      stream: lease.iterate('SELECT 1').next(),
    });
    for (const code of Object.values(outcomes)) {
      // Outside a transaction a write stands alone, and its commit may be what was lost.
      if (begin) expect(code).toBe('POOL_THREAD_LOST');
      else expect(['POOL_THREAD_LOST', 'POOL_OUTCOME_UNKNOWN']).toContain(code);
    }
    expect(await outcome(lease.get('SELECT 1'))).toBe('POOL_THREAD_LOST');
    expect(await outcome(lease.release())).toBe('resolved');
    expect(await outcome(waiting)).toBe('resolved');
  }
  expect(stored(file)).toEqual([2, 10, 11]);
});

test('the writer in the place of a dead one is told of what the dead one was asked afterwards', async () => {
  const { pool, file } = await deadlyPool();
  const lease = await pool.lease('write');
  await lease.run('BEGIN IMMEDIATE');
  expect(await outcome(lease.run(deadlyInsert, [1]))).toBe('POOL_THREAD_LOST');
  expect(await outcome(lease.run('INSERT INTO t (id) VALUES (42)'))).toBe('POOL_THREAD_LOST');
  await lease.release();
  expect(await outcome(pool.run('INSERT INTO t (id) VALUES (42)'))).toBe('resolved');
  expect(stored(file)).toEqual([42]);
});

test('a script that dies half-way does not claim that nothing is stored', async () => {
  const { pool, file } = await deadlyPool();
  const script = pool.exec(
    'INSERT INTO t (id) VALUES (1); SELECT die(); INSERT INTO t (id) VALUES (2);',
  );
  expect(await outcome(script)).toBe('POOL_OUTCOME_UNKNOWN');
  expect(stored(file)).toEqual([1]);
  expect(await outcome(pool.exec('INSERT INTO t (id) VALUES (3)'))).toBe('resolved');
});

test('a bulk that kills the writer stores nothing and ends its source', async () => {
  const { pool, file } = await deadlyPool();
  let given = 0;
  let ended = false;
  async function* sets() {
    try {
      for (; given < 100_000; given++) yield [given, given === 9000 ? 1 : 0];
    } finally {
      ended = true;
    }
  }
  const bulk = pool.runMany('INSERT INTO t VALUES (?, die_if(?))', sets());
  const outcomes = await allSettled({ bulk, write: pool.run(insert, [500_000]) });
  expect(outcomes).toEqual({ bulk: 'POOL_THREAD_LOST', write: 'resolved' });
  expect(ended).toBe(true);
  expect(given).toBeLessThan(100_000);
  expect(stored(file)).toEqual([500_000]);
  const again = Array.from({ length: 3000 }, (_, i) => [i, 0]);
  expect(await pool.runMany('INSERT INTO t VALUES (?, die_if(?))', again)).toEqual({
    changes: 3000,
  });
});

test('statements that run alone, and streams on the writer, may kill it', async () => {
  const { pool } = await deadlyPool();
  const codes = await allSettled({
    attach: pool.run("ATTACH ':memory:' || die() AS other"),
    returning: pool.iterate('INSERT INTO t (id) VALUES (1), (2) RETURNING die()').next(),
    query: pool.query('UPDATE t SET who = die()'),
    read: pool.get('SELECT die()', [], { access: 'write' }),
    checkpoint: pool.checkpoint(),
  });
  for (const code of Object.values(codes)) {
    expect(['POOL_THREAD_LOST', 'POOL_OUTCOME_UNKNOWN', 'resolved']).toContain(code);
  }
  expect(codes.attach).not.toBe('resolved');
  expect(codes.returning).not.toBe('resolved');
  expect(codes.read).not.toBe('resolved');
  expect(await outcome(pool.run(insert, [9]))).toBe('resolved');
});

test('a database in memory is gone with its thread, and says so', async () => {
  const { setup } = await deadlyPool();
  const pool = openPool(':memory:', { setup });
  await pool.exec('CREATE TABLE t (id)');
  await outcome(pool.get('SELECT die()'));
  expect(await outcome(pool.get('SELECT * FROM t'))).not.toBe('resolved');
});
