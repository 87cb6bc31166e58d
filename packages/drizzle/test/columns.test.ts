import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createPool } from '@poolite/core';
import { drizzle } from '@poolite/drizzle';
import Database from 'better-sqlite3';
import { sql } from 'drizzle-orm';
import { drizzle as drizzleStock } from 'drizzle-orm/better-sqlite3';
import {
  blob,
  customType,
  integer,
  numeric,
  real,
  sqliteTable,
  text,
} from 'drizzle-orm/sqlite-core';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { freshFile, openPool } from './support/db.ts';

const point = customType<{ data: { x: number; y: number }; driverData: string }>({
  dataType: () => 'text',
  toDriver: ({ x, y }) => `${x},${y}`,
  fromDriver: (value) => {
    const [x = 0, y = 0] = value.split(',').map(Number);
    return { x, y };
  },
});

const every = sqliteTable('every', {
  id: integer().primaryKey(),
  number: integer('a_number'),
  boolean: integer('a_boolean', { mode: 'boolean' }),
  seconds: integer('a_seconds', { mode: 'timestamp' }),
  milliseconds: integer('a_milliseconds', { mode: 'timestamp_ms' }),
  real: real('a_real'),
  text: text('a_text'),
  enum: text('an_enum', { enum: ['red', 'green'] }),
  json: text('a_json', { mode: 'json' }).$type<unknown>(),
  buffer: blob('a_buffer', { mode: 'buffer' }),
  bigint: blob('a_bigint', { mode: 'bigint' }),
  blobJson: blob('a_blob_json', { mode: 'json' }).$type<unknown>(),
  numeric: numeric('a_numeric'),
  numericNumber: numeric('a_numeric_number', { mode: 'number' }),
  numericBigint: numeric('a_numeric_bigint', { mode: 'bigint' }),
  point: point('a_point'),
});

const TABLE = `CREATE TABLE every (id INTEGER PRIMARY KEY, a_number INTEGER, a_boolean INTEGER,
  a_seconds INTEGER, a_milliseconds INTEGER, a_real REAL, a_text TEXT, an_enum TEXT, a_json TEXT,
  a_buffer BLOB, a_bigint BLOB, a_blob_json BLOB, a_numeric NUMERIC, a_numeric_number NUMERIC,
  a_numeric_bigint NUMERIC, a_point TEXT)`;

type Insert = Omit<typeof every.$inferInsert, 'id'>;

const values: [what: string, row: Insert][] = [
  ['nothing', {}],
  ['an integer', { number: -42 }],
  ['the largest safe integer', { number: Number.MAX_SAFE_INTEGER }],
  ['true', { boolean: true }],
  ['false', { boolean: false }],
  ['a time in seconds', { seconds: new Date('2026-11-21T07:08:09Z') }],
  ['a time in milliseconds', { milliseconds: new Date('2026-11-21T07:08:09.123Z') }],
  ['a time before the epoch', { milliseconds: new Date(-1) }],
  ['a real', { real: 0.1 + 0.2 }],
  ['an empty text', { text: '' }],
  ['a text of all kinds', { text: "it's \u{1f980} \0 \n" }],
  ['one of an enum', { enum: 'green' }],
  ['an object', { json: { a: [1, null, { b: 'ü' }] } }],
  ['a list', { json: [1, 'two', false] }],
  ['a word as JSON', { json: 'word' }],
  ['zero as JSON', { json: 0 }],
  ['a buffer', { buffer: Buffer.from([0, 1, 254, 255]) }],
  ['an empty buffer', { buffer: Buffer.alloc(0) }],
  ['a large buffer', { buffer: Buffer.alloc(100_000, 7) }],
  ['a bigint', { bigint: 2n ** 90n }],
  ['a negative bigint', { bigint: -(2n ** 64n) }],
  ['JSON in a blob', { blobJson: { deep: { list: [1, 2] } } }],
  ['a numeric', { numeric: '12.5' }],
  ['a numeric as a number', { numericNumber: 12.5 }],
  ['a numeric as a bigint', { numericBigint: 123n }],
  ['a type of its own', { point: { x: 3, y: -4 } }],
];

describe('every type of column', () => {
  const folder = mkdtempSync(join(tmpdir(), 'poolite-drizzle-'));
  const file = join(folder, 'test.db');
  const pool = createPool(file);
  const db = drizzle(pool, { schema: { every } });
  const database = new Database(file);
  const stock = drizzleStock(database, { schema: { every } });
  beforeAll(() => pool.exec(TABLE));
  beforeEach(() => pool.exec('DELETE FROM every'));
  afterAll(async () => {
    database.close();
    await pool.close();
    rmSync(folder, { recursive: true, force: true });
  });

  test.each(values)(
    '%s comes back as it was stored, and as better-sqlite3 reads it',
    async (_, row) => {
      const empty = Object.fromEntries(Object.keys(every).map((name) => [name, null]));
      const expected = (id: number) => ({ ...empty, ...row, id });

      expect(await db.insert(every).values(row).returning()).toEqual([expected(1)]);
      stock.insert(every).values(row).run();
      const raw = 'SELECT * FROM every ORDER BY id';
      const [mine, theirs] = database.prepare(raw).all() as Record<string, unknown>[];
      expect({ ...mine, id: 2 }).toEqual(theirs);

      const both = [expected(1), expected(2)];
      expect(await db.select().from(every)).toEqual(both);
      expect(stock.select().from(every).all()).toEqual(both);
      expect(await db.query.every.findMany()).toEqual(stock.query.every.findMany().sync());
      expect(await db.transaction((tx) => tx.select().from(every).execute())).toEqual(both);
      expect(await db.batch([db.select().from(every)])).toEqual([both]);
      expect(await db.select().from(every).values()).toEqual(stock.select().from(every).values());
      // What it was put in by, it is found by.
      for (const [name, value] of Object.entries(row)) {
        const column = every[name as keyof Insert];
        const found = db.$count(every, sql`${column} = ${sql.param(value, column)}`);
        expect(await found).toBe(2);
      }
    },
  );
});

test('integers beyond 2^53 are exact with the option of the pool', async () => {
  const pool = openPool(freshFile(), { integers: 'auto' });
  const db = drizzle(pool);
  const large = 2n ** 60n + 1n;
  expect(await db.get(sql`SELECT ${large} AS large, 1 AS small`)).toEqual({ large, small: 1 });
});
