import type { ChangeMessage, Pool, PoolOptions } from '@poolite/core';
import { describe, expect, onTestFinished, test } from 'vitest';
import { OtherConnection } from './support/child.ts';
import { hooked, isHooked } from './support/endless.ts';
import { freshFile, openPool, outcome } from './support/folder.ts';
import { sharedPool } from './support/shared-pool.ts';

const SCHEMA = `
  CREATE TABLE a (id INTEGER PRIMARY KEY, v);
  CREATE TABLE b (id INTEGER PRIMARY KEY, a REFERENCES a (id) ON DELETE CASCADE);
  CREATE TABLE w (k PRIMARY KEY, v) WITHOUT ROWID;
  CREATE TABLE log (text);
  CREATE VIRTUAL TABLE note USING fts5 (text);
  CREATE TRIGGER logged AFTER UPDATE ON w BEGIN INSERT INTO log VALUES (new.k); END;
`;
const FILL = `
  DELETE FROM b; DELETE FROM a; DELETE FROM w; DELETE FROM log;
  INSERT INTO a VALUES (1, 'x'), (2, 'y'), (3, 'z');
  INSERT INTO b VALUES (1, 1), (2, 1);
  INSERT INTO w VALUES ('k', 1);
  INSERT INTO log VALUES ('l');
`;

interface Watched {
  pool: Pool;
  /** What was told since it was asked last. */
  told(): ChangeMessage[];
}

// Other connections are asked about in tests of their own.
const OPTIONS: PoolOptions = { readers: 1, changes: { interval: 0 } };
const freshPool = sharedPool(OPTIONS);

/** A pool of the test's own where it says a file or options, or leaves more in it than tables. */
async function watched(own?: PoolOptions, file?: string): Promise<Watched> {
  const pool =
    own === undefined && file === undefined
      ? await freshPool()
      : openPool(file ?? freshFile(), { ...OPTIONS, ...own });
  await pool.exec(SCHEMA + FILL);
  let messages: ChangeMessage[] = [];
  const listener = (message: ChangeMessage) => messages.push(message);
  pool.on('change', listener);
  onTestFinished(() => void pool.off('change', listener));
  // The writer tells from the commit that follows this on.
  await pool.transaction((tx) => tx.get('SELECT 1'));
  messages = [];
  const told = () => messages.splice(0);
  return { pool, told };
}

type Writes = (pool: Pool) => Promise<unknown>;

/** What is written, and the tables that must be told, in any order. */
const cases: Record<string, [writes: Writes, tables: string[]]> = {
  'an insert': [(pool) => pool.run("INSERT INTO a (v) VALUES ('n')"), ['a']],
  'an update': [(pool) => pool.run("UPDATE a SET v = 'n'"), ['a']],
  'a delete': [(pool) => pool.run('DELETE FROM a WHERE id = 3'), ['a']],
  'a delete that cascades': [(pool) => pool.run('DELETE FROM a WHERE id = 1'), ['a', 'b']],
  'a delete of a whole table': [(pool) => pool.run('DELETE FROM b'), ['b']],
  'a write with RETURNING': [(pool) => pool.all('UPDATE b SET a = 2 RETURNING id'), ['b']],
  'a table without rowids': [(pool) => pool.run("INSERT INTO w VALUES ('n', 1)"), ['w']],
  'what a trigger writes': [(pool) => pool.run("UPDATE w SET v = 2 WHERE k = 'k'"), ['w', 'log']],
  'a batch': [
    (pool) =>
      pool.batch([{ sql: 'DELETE FROM log' }, { sql: "INSERT INTO a (v) VALUES ('batch')" }]),
    ['log', 'a'],
  ],
  'many sets': [(pool) => pool.runMany('INSERT INTO a (v) VALUES (?)', [['m'], ['n']]), ['a']],
  'many sets without rowids': [(pool) => pool.runMany('INSERT INTO w VALUES (?, 1)', [[1]]), ['w']],
  'a script': [(pool) => pool.exec("DELETE FROM log; INSERT INTO w VALUES ('s', 1)"), ['log', 'w']],
  'a transaction': [
    (pool) =>
      pool.transaction(async (tx) => {
        await tx.run("INSERT INTO a (v) VALUES ('t')");
        await tx.exec("DELETE FROM w WHERE k = 'none'");
        await tx.savepoint((inner) => inner.run('DELETE FROM log'));
      }),
    ['a', 'w', 'log'],
  ],
  'a lease': [
    async (pool) => {
      await using lease = await pool.lease('write');
      await lease.run('BEGIN');
      await lease.run('UPDATE b SET a = 3');
      await lease.run('COMMIT');
    },
    ['b'],
  ],
};

hooked('a commit is told with the tables that it changed', () => {
  for (const file of ['', ':memory:']) {
    // In memory the same thread tells it in the same way.
    test.each(Object.entries(cases).filter((_, i) => file === '' || i % 4 === 0))(
      `%s${file && ', in memory'}`,
      async (_name, [write, tables]) => {
        const { pool, told } = await watched(undefined, file || undefined);
        // Again, since a statement that is known already is told of in another way.
        for (let i = 0; i < 3; i++) {
          if (i > 0) await pool.exec(FILL);
          told();
          await write(pool);
          const all = told();
          expect(all).toHaveLength(1);
          expect(new Set(all[0]?.tables)).toEqual(new Set(tables));
          expect(all[0]?.rowids).toBeUndefined();
        }
      },
    );
  }

  test('a full-text table by its own name, among those behind it', async () => {
    const { pool, told } = await watched();
    for (let i = 0; i < 2; i++) {
      await pool.run('INSERT INTO note VALUES (?)', ['words']);
      expect(told().flatMap(({ tables }) => tables)).toContain('note');
    }
  });

  test('tables of attached databases behind their names', async () => {
    const { pool, told } = await watched({});
    await pool.run('ATTACH ? AS other', [freshFile()]);
    await pool.run('CREATE TABLE other.t (n)');
    told();
    await pool.run('INSERT INTO other.t VALUES (1)');
    expect(told()).toEqual([{ tables: ['other.t'] }]);
    await pool.run('DETACH other');
    await pool.run("INSERT INTO a (v) VALUES ('n')");
    expect(told().at(-1)).toEqual({ tables: ['a'] });
  });

  test('once for all that share it', async () => {
    const { pool, told } = await watched();
    await Promise.all([
      ...Array.from({ length: 20 }, (_, i) => pool.run('INSERT INTO a (v) VALUES (?)', [i])),
      ...Array.from({ length: 20 }, (_, i) => pool.run('INSERT INTO w VALUES (?, 1)', [i])),
    ]);
    const all = told();
    expect(all.length).toBeLessThan(10);
    expect(new Set(all.flatMap(({ tables }) => tables))).toEqual(new Set(['a', 'w']));
  });

  test('before its callers hear of it', async () => {
    const { pool, told } = await watched({});
    const order: string[] = [];
    pool.on('change', () => order.push('change'));
    const writes = [1, 2, 3].map(async (v) => {
      await pool.run('INSERT INTO a (v) VALUES (?)', [v]);
      order.push('caller');
    });
    await Promise.all(writes);
    expect(order[0]).toBe('change');
    expect(told()).not.toEqual([]);
  });

  test('as any, where the schema changes', async () => {
    const { pool, told } = await watched();
    await pool.exec('CREATE TABLE c (n)');
    expect(told()).toEqual([{ tables: [] }]);
    await pool.run('ALTER TABLE c ADD COLUMN m');
    expect(told()).toEqual([{ tables: [] }]);
  });

  test('also by a trigger that came after the statement was first run', async () => {
    const { pool, told } = await watched({});
    const insert = () => pool.run("INSERT INTO a (v) VALUES ('n')");
    await insert();
    await insert();
    await pool.exec('CREATE TRIGGER t AFTER INSERT ON a BEGIN DELETE FROM w; END');
    told();
    await insert();
    const [first] = told();
    expect(first?.tables.length === 0 || first?.tables.includes('w')).toBe(true);
    await insert();
    expect(new Set(told()[0]?.tables)).toEqual(new Set(['a', 'w']));
  });
});

hooked('nothing is told', () => {
  test.each<[string, Writes]>([
    ['of reads', (pool) => pool.all('SELECT * FROM a')],
    ['of what is rolled back', (pool) => outcome(pool.transaction(rolledBack))],
    ['of what fails', (pool) => outcome(pool.run("INSERT INTO a VALUES (1, 'twice')"))],
    ['of tables that are temporary', (pool) => pool.run('CREATE TEMP TABLE mine AS SELECT 1 AS n')],
    ['of statistics', (pool) => pool.run('ANALYZE a')],
  ])('%s', async (_what, write) => {
    const { pool, told } = await watched({});
    await pool.run('CREATE TEMP TABLE there (n)');
    told();
    await write(pool);
    await pool.transaction((tx) => tx.get('SELECT 1'));
    expect(told().flatMap(({ tables }) => tables)).toEqual([]);
  });

  test('once nobody listens', async () => {
    const { pool, told } = await watched({});
    const messages: ChangeMessage[] = [];
    const listener = (message: ChangeMessage) => messages.push(message);
    pool.on('change', listener);
    await pool.run('DELETE FROM log WHERE 0');
    pool.off('change', listener);
    messages.length = 0;
    await pool.run("INSERT INTO a (v) VALUES ('n')");
    expect(messages).toEqual([]);
    expect(told().at(-1)).toEqual({ tables: ['a'] });
  });
});

async function rolledBack(tx: { run(sql: string): Promise<unknown> }): Promise<void> {
  await tx.run("INSERT INTO a (v) VALUES ('n')");
  await tx.run("INSERT INTO w VALUES ('n', 1)");
  throw new Error('undo');
}

hooked('rowids, where they are asked for', () => {
  test('are all that a commit touched', async () => {
    const { pool, told } = await watched({ changes: { rowids: 3, interval: 0 } });
    await pool.run("INSERT INTO a (v) VALUES ('n'), ('m')");
    expect(told()).toEqual([{ tables: ['a'], rowids: { a: [4, 5] } }]);
    await pool.batch([
      { sql: "UPDATE a SET v = 'o' WHERE id IN (1, 4)" },
      { sql: 'DELETE FROM a WHERE id = 4' },
    ]);
    expect(told()).toEqual([{ tables: ['a'], rowids: { a: [1, 4] } }]);
    await pool.run('INSERT INTO a (id) VALUES (?)', [2n ** 62n]);
    expect(told()).toEqual([{ tables: ['a'], rowids: { a: [2n ** 62n] } }]);
  });

  test('are left out where they are too many, or are not known', async () => {
    const { pool, told } = await watched({ changes: { rowids: 3, interval: 0 } });
    await pool.runMany('INSERT INTO a (v) VALUES (?)', [[1], [2], [3], [4]]);
    expect(told()).toEqual([{ tables: ['a'], rowids: {} }]);
    await pool.run("INSERT INTO w VALUES ('n', 1)");
    expect(told()).toEqual([{ tables: ['w'], rowids: {} }]);
    await pool.transaction(async (tx) => {
      await tx.run("INSERT INTO log VALUES ('n')");
      await tx.run('DELETE FROM log');
    });
    expect(told()).toEqual([{ tables: ['log'], rowids: {} }]);
  });

  test('are bigints where integers are', async () => {
    const { pool, told } = await watched({
      ...{ integers: 'bigint', changes: { rowids: 3, interval: 0 } },
    });
    await pool.run('DELETE FROM a WHERE id = 3');
    expect(told()).toEqual([{ tables: ['a'], rowids: { a: [3n] } }]);
  });
});

describe('commits of other programs', () => {
  test.each(isHooked ? (['auto', 'off'] as const) : (['off'] as const))(
    'are noticed, hooks %s',
    async (hooks) => {
      const file = freshFile();
      const pool = openPool(file, { readers: 1, hooks, changes: { interval: 5 } });
      await pool.exec(SCHEMA + FILL);
      const other = new OtherConnection(file);
      await other.exec('SELECT 1');
      const seen: ChangeMessage[] = [];
      let wake = () => {};
      const noticed = new Promise<void>((resolve) => {
        wake = resolve;
      });
      pool.on('change', (message) => {
        seen.push(message);
        wake();
      });
      await pool.transaction((tx) => tx.get('SELECT 1'));
      await other.exec("INSERT INTO a (v) VALUES ('theirs')");
      await noticed;
      expect(seen[0]).toEqual({ tables: [] });
      expect(await pool.get('SELECT count(*) AS n FROM a')).toEqual({ n: 4 });
    },
  );
});

describe('without the extension', () => {
  test('a commit is told without tables', async () => {
    const { pool, told } = await watched({ hooks: 'off' });
    await pool.run("INSERT INTO a (v) VALUES ('n')");
    expect(told()).toEqual([{ tables: [] }]);
    await pool.all('SELECT * FROM a');
    await pool.transaction((tx) => tx.get('SELECT 1'));
    expect(told()).toEqual([]);
  });
});

test.each([
  [{ rowids: -1 }, 'changes.rowids'],
  [{ rowids: 100_001 }, 'changes.rowids'],
  [{ interval: 1.5 }, 'changes.interval'],
  [{ tables: true }, 'changes.tables'],
])('the option changes refuses %j', (changes, name) => {
  expect(() => openPool(freshFile(), { changes } as PoolOptions)).toThrow(name);
});
