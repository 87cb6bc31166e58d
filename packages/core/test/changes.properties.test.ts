import type { ChangeMessage, Pool } from '@poolite/core';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { hooked } from './support/endless.ts';
import { openPool } from './support/folder.ts';

/** Runs of one test; a longer form: CHANGES=500 pnpm vitest run changes.properties */
const RUNS = Number(process.env.CHANGES ?? 12);

const SCHEMA = `
  CREATE TABLE p (id INTEGER PRIMARY KEY, v UNIQUE);
  CREATE TABLE c (id INTEGER PRIMARY KEY, p REFERENCES p (id) ON DELETE CASCADE ON UPDATE CASCADE);
  CREATE TABLE w (k PRIMARY KEY, v) WITHOUT ROWID;
  CREATE TABLE wc (k PRIMARY KEY, w REFERENCES w (k) ON DELETE SET NULL) WITHOUT ROWID;
  CREATE TABLE plain (v);
  CREATE TABLE u (v UNIQUE);
  CREATE VIEW v AS SELECT * FROM plain;
  CREATE TRIGGER inserted AFTER INSERT ON p WHEN new.id % 3 = 0 BEGIN
    INSERT OR IGNORE INTO w VALUES (new.id, 1);
  END;
  CREATE TRIGGER emptied AFTER DELETE ON w WHEN old.k % 5 = 0 BEGIN DELETE FROM plain; END;
  CREATE TRIGGER through INSTEAD OF INSERT ON v BEGIN
    INSERT INTO plain VALUES (new.v); UPDATE w SET v = v + 1 WHERE k = new.v;
  END;`;
const TABLES = ['p', 'c', 'w', 'wc', 'plain', 'u'];

/** Statements of one number. */
const STATEMENTS = [
  'INSERT INTO p VALUES (?1, ?1)',
  'INSERT OR REPLACE INTO p VALUES (?1 + 1, ?1)',
  'INSERT OR IGNORE INTO c VALUES (?1, ?1)',
  'INSERT OR ROLLBACK INTO p VALUES (?1, ?1)',
  'UPDATE p SET id = id + 100 WHERE id = ?1',
  'UPDATE OR REPLACE p SET v = ?1 WHERE id = ?1 + 1',
  'DELETE FROM p WHERE id = ?1',
  'DELETE FROM p WHERE ?1 > 0',
  'INSERT INTO w VALUES (?1, 0) ON CONFLICT DO UPDATE SET v = v + 1',
  'INSERT OR REPLACE INTO w VALUES (?1, 9)',
  'INSERT OR IGNORE INTO wc VALUES (?1, ?1)',
  'DELETE FROM w WHERE k = ?1 RETURNING k',
  'INSERT INTO plain VALUES (?1)',
  'INSERT OR REPLACE INTO u (rowid, v) VALUES (?1 % 5, ?1 % 4)',
  'UPDATE OR REPLACE u SET v = ?1 % 4 WHERE rowid = ?1 % 5',
  'INSERT INTO v VALUES (?1)',
  'UPDATE plain SET v = v + 1 WHERE v = ?1',
] as const;
/** Those that empty a table at once, or several things. */
const SCRIPTS = ['DELETE FROM plain', 'DELETE FROM c', 'DELETE FROM wc', 'DELETE FROM w'] as const;

type Write = { sql: string; params: number[] };
type Step =
  | { how: 'run' | 'exec'; writes: Write[] }
  | { how: 'together' | 'batch' | 'transaction' | 'savepoint' | 'undone'; writes: Write[] };

const number = fc.integer({ min: 1, max: 12 });
const write: fc.Arbitrary<Write> = fc
  .oneof(
    { weight: 4, arbitrary: fc.tuple(fc.constantFrom(...STATEMENTS), number) },
    { weight: 1, arbitrary: fc.tuple(fc.constantFrom(...SCRIPTS), fc.constant(0)) },
  )
  .map(([sql, n]) => ({ sql, params: n === 0 ? [] : [n] }));
const writes = fc.array(write, { minLength: 1, maxLength: 5 });
const step: fc.Arbitrary<Step> = fc.record({
  how: fc.constantFrom('run', 'exec', 'together', 'batch', 'transaction', 'savepoint', 'undone'),
  writes,
});

/** What fails fails: what it leaves behind is what counts. */
const anyhow = (promise: Promise<unknown>) => promise.catch(() => {});

async function run(pool: Pool, { how, writes }: Step): Promise<void> {
  const [first] = writes as [Write];
  switch (how) {
    case 'run':
      return void (await anyhow(pool.run(first.sql, first.params)));
    case 'exec':
      return void (await anyhow(pool.exec(writes.map(inlined).join(';'))));
    case 'together':
      return void (await Promise.all(
        writes.map(({ sql, params }) => anyhow(pool.run(sql, params))),
      ));
    case 'batch':
      return void (await anyhow(pool.batch(writes)));
    default:
      await anyhow(
        pool.transaction(async (tx) => {
          const all = async () => {
            for (const { sql, params } of writes) await tx.run(sql, params);
          };
          if (how === 'savepoint') await anyhow(tx.savepoint(all));
          else await all();
          if (how === 'undone') throw new Error('undo');
        }),
      );
  }
}

function inlined({ sql, params }: Write): string {
  return sql.replaceAll('?1', String(params[0]));
}

/** Each table's rows: by rowid where it has such, as text. */
type State = Map<string, Map<string, string>>;

async function state(pool: Pool): Promise<State> {
  const all: State = new Map();
  await pool.snapshot(async (tx) => {
    for (const table of TABLES) {
      const key = table.startsWith('w') ? 'k' : 'rowid';
      const rows = await tx.values<[unknown, ...unknown[]]>(`SELECT ${key}, * FROM ${table}`);
      all.set(table, new Map(rows.map(([id, ...rest]) => [String(id), JSON.stringify(rest)])));
    }
  });
  return all;
}

/** The keys of rows that are not as they were. */
function changed(before: State, after: State, table: string): string[] {
  const one = before.get(table) as Map<string, string>;
  const other = after.get(table) as Map<string, string>;
  const keys = new Set([...one.keys(), ...other.keys()]);
  return [...keys].filter((key) => one.get(key) !== other.get(key));
}

hooked('whatever is written', () => {
  const seed = Number(process.env.SEED ?? Date.now() % 2 ** 31);
  test('every table and row that is not as it was is told', async () => {
    console.log(`seed ${seed}`);
    const property = fc.asyncProperty(fc.array(step, { maxLength: 25 }), async (steps) => {
      const pool = openPool(':memory:', { changes: { rowids: 100 } });
      await pool.exec(SCHEMA);
      let told: ChangeMessage[] = [];
      pool.on('change', (message) => told.push(message));
      await pool.transaction((tx) => tx.get('SELECT 1'));
      let before = await state(pool);
      for (const each of steps) {
        told = [];
        await run(pool, each);
        const after = await state(pool);
        for (const table of TABLES) {
          const keys = changed(before, after, table);
          if (keys.length === 0) continue;
          const about = told.filter(({ tables }) => tables.includes(table));
          expect(about.length, `${table} changed: ${JSON.stringify(told)}`).toBeGreaterThan(0);
          const isNamed = about.every(({ rowids }) => rowids?.[table] !== undefined);
          if (!isNamed) continue;
          const rowids = about.flatMap(({ rowids }) => rowids?.[table]?.map(String) ?? []);
          expect(rowids, `rows of ${table}`).toEqual(expect.arrayContaining(keys));
        }
        before = after;
      }
      await pool.close();
    });
    await fc.assert(property, { seed, numRuns: RUNS });
  });
});
