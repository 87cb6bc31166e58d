import { DataSource, EntitySchema } from 'typeorm';
import { describe, expect, test } from 'vitest';
import { boundInsert } from '../src/inserts.ts';
import { Account, initialized, openSource, openStock, outcome, poolOf } from './support/db.ts';

describe('the numbers in the text of an INSERT become parameters', () => {
  const T = 'INSERT INTO "t"("a", "b") VALUES ';

  test.each<[text: string, params: unknown[], sql: string, bound: unknown[]]>([
    [`${T}(5, ?)`, ['x'], `${T}(?, ?)`, [5n, 'x']],
    [`${T}(?, -5)`, ['x'], `${T}(?, ?)`, ['x', -5n]],
    [`${T}(NULL, 0)`, [], `${T}(NULL, ?)`, [0n]],
    [`${T}(1.5, 1e-7)`, [], `${T}(?, ?)`, [1.5, 1e-7]],
    [
      `${T}(1, ?), (?, 2), (3, NULL)`,
      ['x', 'y'],
      `${T}(?, ?), (?, ?), (?, NULL)`,
      [1n, 'x', 'y', 2n, 3n],
    ],
    [`${T}(json(?), 7)`, ['{}'], `${T}(json(?), ?)`, ['{}', 7n]],
    [`${T}(1, ?) RETURNING "a"`, ['x'], `${T}(?, ?) RETURNING "a"`, [1n, 'x']],
    [
      `${T}(1, ?) ON CONFLICT ("a") DO UPDATE SET "b" = ? WHERE "b" > 2`,
      ['x', 'y'],
      `${T}(?, ?) ON CONFLICT ("a") DO UPDATE SET "b" = ? WHERE "b" > 2`,
      [1n, 'x', 'y'],
    ],
    [
      'INSERT INTO "m"."t "" 1"("a ""2") VALUES (9)',
      [],
      'INSERT INTO "m"."t "" 1"("a ""2") VALUES (?)',
      [9n],
    ],
    [
      'INSERT INTO "t"("x VALUES (1") VALUES (9)',
      [],
      'INSERT INTO "t"("x VALUES (1") VALUES (?)',
      [9n],
    ],
  ])('%s', (text, params, sql, bound) => {
    expect(boundInsert(text, params as never)).toEqual({ sql, params: bound });
  });

  test.each<[why: string, text: string, params?: unknown]>([
    ['it has none', `${T}(?, ?)`, ['x', 'y']],
    ['it is no INSERT', 'UPDATE "t" SET "a" = 5'],
    ['a number is too large to be exact', `${T}(9007199254740993, ?)`, ['x']],
    ['a value is an expression', `${T}(1 + 2, ?)`, ['x']],
    ['a value is a function of a number', `${T}(abs(5), 1)`],
    ['a value is a text', `${T}('5', 1)`],
    ['a value is a name', `${T}(1, rowid)`],
    ['a number is written otherwise', `${T}(0x10, 1)`],
    ['its placeholders are numbered', `${T}(1, ?2)`, ['x', 'y']],
    ['a placeholder behind the rows is numbered', `${T}(1, 2) RETURNING ?1`, ['x']],
    ['a placeholder behind the rows has a name', `${T}(1, 2) RETURNING :a`, { a: 1 }],
    ['its values have names', `${T}(1, :b)`, { b: 1 }],
    ['values are missing', `${T}(1, ?)`, []],
    ['the text ends early', `${T}(1, 2`],
    ['rows are selected', 'INSERT INTO "t"("a") SELECT 5'],
    ['it has more values than one should bind', `${T}${Array(501).fill('(1, 2)').join(', ')}`],
  ])('not where %s', (_, text, params) => {
    expect(boundInsert(text, params as never)).toBeUndefined();
  });
});

interface Mixed {
  id: number;
  [column: string]: number | string | null;
}

const TYPES = ['integer', 'real', 'text', 'numeric', 'blob', 'boolean', 'varchar'] as const;

/** A column of each affinity: https://sqlite.org/datatype3.html#determination_of_column_affinity */
const Mixed = new EntitySchema<Mixed>({
  name: 'Mixed',
  columns: {
    id: { type: 'integer', primary: true, generated: true },
    ...Object.fromEntries(TYPES.map((type) => [`a_${type}`, { type, nullable: true }])),
  },
});

const NUMBERS = [
  0,
  1,
  -1,
  5,
  1.5,
  -0.1,
  1e21,
  1e-7,
  2 ** 31,
  -(2 ** 40),
  2 ** 53 - 1,
  2 ** 53,
  2 ** 60,
];

async function stored(source: DataSource): Promise<unknown> {
  const row = (n: number): Mixed =>
    Object.fromEntries(TYPES.map((type) => [`a_${type}`, n])) as unknown as Mixed;
  for (const n of NUMBERS) await source.getRepository(Mixed).insert(row(n));
  await source.getRepository(Mixed).insert(NUMBERS.map(row));
  for (const n of NUMBERS) await source.getRepository(Mixed).save(row(n));
  const columns = TYPES.map((type) => `typeof(a_${type}), quote(a_${type})`).join(', ');
  return source.query(`SELECT id, ${columns} FROM mixed ORDER BY id`);
}

test("numbers are stored in a column of any type as TypeORM's own driver stores them", async () => {
  const entities = [Mixed];
  const [ours, theirs] = [await openSource({ entities }), await openStock({ entities })];
  expect(await stored(ours)).toEqual(await stored(theirs));
});

test('rows that differ in their numbers alone are one statement', async () => {
  const source = await openSource({ entities: [Mixed] });
  const row = (n: number) => ({ a_integer: n, a_varchar: `${n}` });
  const write = async (n: number) => {
    await source.getRepository(Mixed).save(row(n));
    await source.getRepository(Mixed).insert(row(n));
  };
  await write(0);
  const { statements } = poolOf(source).stats();
  for (let n = 1; n < 40; n++) await write(n);
  expect(poolOf(source).stats().statements).toBe(statements);
});

test('an INSERT that fails is told of with its own text and values', async () => {
  const source = await openSource();
  await source.query('CREATE UNIQUE INDEX one ON account (cents)');
  await source.getRepository(Account).insert({ name: 'a', cents: 7 });
  const failed = source.getRepository(Account).insert({ name: 'b', cents: 7 });
  await expect(failed).rejects.toMatchObject({
    query: 'INSERT INTO "account"("id", "name", "cents") VALUES (NULL, ?, 7)',
    parameters: ['b'],
    driverError: { code: 'SQLITE_CONSTRAINT_UNIQUE' },
  });
});

test('logs tell of the text as TypeORM wrote it', async () => {
  const queries: string[] = [];
  const { options } = await openSource();
  const source = await initialized(
    new DataSource({
      ...options,
      logging: ['query'],
      logger: {
        logQuery: (query: string) => void queries.push(query),
        ...{
          logQueryError() {},
          logQuerySlow() {},
          logSchemaBuild() {},
          logMigration() {},
          log() {},
        },
      },
    } as typeof options),
  );
  queries.length = 0;
  expect(await outcome(source.getRepository(Account).save({ name: 'a', cents: 7 }))).toBe(
    'resolved',
  );
  expect(queries).toContain('INSERT INTO "account"("id", "name", "cents") VALUES (NULL, ?, 7)');
});
