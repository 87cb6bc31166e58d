import { createPool, PoolError, type PoolOptions } from '@poolite/core';
import { expect, test } from 'vitest';
import { failure, freshFile, openPool } from './support/folder.ts';

/** What createPool throws at once, whatever it is given. */
function thrown(file: unknown, options: unknown): PoolError {
  try {
    createPool(file as string, options as PoolOptions);
  } catch (error) {
    if (PoolError.is(error)) return error;
    throw error;
  }
  throw new Error('createPool accepted it');
}

class Pragmas {
  cache_size = 100;
}

/** Each is refused, in a message with this name in it. */
const refused: [name: string, options: unknown][] = [
  ['reader', { reader: 2 }],
  ['constructor', { constructor: 1 }],
  ['toString', { toString: 1 }],
  ['options', []],
  ['options', 'readonly'],
  ['options', 5],
  ['options', true],
  ['readers', { readers: 0 }],
  ['readers', { readers: 17 }],
  ['readers', { readers: 1.5 }],
  ['readers', { readers: '2' }],
  ['readers', { readers: null }],
  ['readers', { readers: Number.NaN }],
  ['inlineReads', { inlineReads: true }],
  ['inlineReads', { inlineReads: 'on' }],
  ['synchronous', { synchronous: 'off' }],
  ['synchronous', { synchronous: 'FULL' }],
  ['synchronous', { synchronous: 2 }],
  ['readYourWrites', { readYourWrites: 1 }],
  ['busyTimeout', { busyTimeout: -1 }],
  ['busyTimeout', { busyTimeout: Number.POSITIVE_INFINITY }],
  ['busyTimeout', { busyTimeout: '5000' }],
  ['busyTimeout', { busyTimeout: 2 ** 31 }],
  ['retry', { retry: 3 }],
  ['retry', { retry: [] }],
  ['retry.tries', { retry: { tries: 3 } }],
  ['retry.attempts', { retry: { attempts: -1 } }],
  ['retry.attempts', { retry: { attempts: 1.5 } }],
  ['retry.baseDelay', { retry: { baseDelay: -1 } }],
  ['retry.maxDelay', { retry: { maxDelay: 'long' } }],
  ['retry.maxDelay', { retry: { baseDelay: 50, maxDelay: 10 } }],
  ['retry.jitter', { retry: { jitter: 1.1 } }],
  ['retry.jitter', { retry: { jitter: Number.NaN } }],
  ['acquireTimeout', { acquireTimeout: -5 }],
  ['transactionTimeout', { transactionTimeout: 1n }],
  ['statementTimeout', { statementTimeout: {} }],
  ['selfWait', { selfWait: 'ignore' }],
  ['shareCommits', { shareCommits: 'yes' }],
  ['cacheSize', { cacheSize: 1.5 }],
  ['mmapSize', { mmapSize: -1 }],
  ['foreignKeys', { foreignKeys: 'ON' }],
  ['pragmas', { pragmas: 'cache_size = 5' }],
  ['pragmas', { pragmas: null }],
  ['pragmas.journal_mode', { pragmas: { journal_mode: 'DELETE' } }],
  ['pragmas.JOURNAL_MODE', { pragmas: { JOURNAL_MODE: 'wal' } }],
  ['pragmas.cache_size', { pragmas: { cache_size: '5; DROP TABLE t' } }],
  ['pragmas.cache_size', { pragmas: { cache_size: Number.NaN } }],
  ['pragmas.cache_size', { pragmas: { cache_size: {} } }],
  ['pragmas.cache_size = 1; --', { pragmas: { 'cache_size = 1; --': 1 } }],
  ['integers', { integers: 'string' }],
  ['setup', { setup: () => {} }],
  ['setup', { setup: '' }],
  ['driver', { driver: {} }],
  ['driver', { driver: '' }],
  ['readonly', { readonly: 0 }],
  ['readers', { readers: Symbol('two') }],
  ['readers', { readers: Object.create(null) }],
];

for (const [name, options] of refused) {
  const shown = typeof options === 'object' ? Object.values(options as object) : [options];
  test(`option ${name} refuses ${shown.map((each) => describe(each)).join(', ')}`, () => {
    const error = thrown(freshFile(), options);
    expect(error.code).toBe('POOL_OPTIONS');
    expect(error.retryable).toBe(false);
    expect(error.message).toContain(name);
  });
}

function describe(value: unknown): string {
  return typeof value === 'object' && value !== null
    ? `{ ${Object.entries(value).map(([key, each]) => `${key}: ${String(each)}`)} }`
    : `${typeof value} ${String(value)}`;
}

const files: [file: unknown, says: RegExp][] = [
  [undefined, /path of a database file, not undefined/],
  [null, /not null/],
  [5, /not number/],
  [new URL('file:///test.db'), /not object/],
  ['a\0b', /zero byte/],
];

for (const [file, says] of files) {
  test(`a file is a string without zero bytes, not ${JSON.stringify(file)}`, () => {
    const error = thrown(file, {});
    expect(error.code).toBe('POOL_OPTIONS');
    expect(error.message).toMatch(says);
  });
}

test('a database in memory cannot be readonly', () => {
  for (const file of [':memory:', '', ' :memory: ']) {
    expect(thrown(file, { readonly: true }).message).toContain('readonly');
  }
});

test('undefined is as good as nothing', async () => {
  const file = freshFile();
  const pool = openPool(file, { readers: undefined, retry: undefined, setup: undefined } as never);
  expect(await pool.get('SELECT 1 AS one')).toEqual({ one: 1 });
});

test('what the caller does to the options afterwards changes nothing', async () => {
  const options = { readers: 1, pragmas: { cache_size: -123 } as Record<string, number> };
  const pool = openPool(freshFile(), options);
  options.readers = 99;
  options.pragmas.cache_size = -7;
  expect(await pool.get('PRAGMA cache_size')).toEqual({ cache_size: -123 });
});

test('options may be an object of a class, and inherited ones count for nothing', async () => {
  const pool = openPool(freshFile(), { pragmas: new Pragmas() as never });
  expect(await pool.get('PRAGMA cache_size')).toEqual({ cache_size: 100 });
});

test('a refused option starts no thread', () => {
  const before = process.getActiveResourcesInfo();
  thrown(freshFile(), { readers: 0 });
  expect(process.getActiveResourcesInfo()).toEqual(before);
});

/** A pragma as each connection of a pool sees it. */
async function everywhere(options: PoolOptions, pragma: string): Promise<unknown[]> {
  const pool = openPool(freshFile(), { readers: 2, ...options });
  const sql = `PRAGMA ${pragma}`;
  const value = async (row: Promise<unknown[][]>) => (await row)[0]?.[0];
  const writer = await value(pool.values(sql, [], { access: 'write' }));
  const held = await pool.transaction((tx) => value(tx.values(sql)));
  const readers = await Promise.all([1, 2, 3, 4].map(() => value(pool.values(sql))));
  const session = await pool.snapshot((tx) => value(tx.values(sql)));
  const lease = await pool.lease('read');
  const leased = await value(lease.values(sql));
  await lease.release();
  const threads = [writer, held, ...readers, session, leased];
  // A pragma itself never runs on the calling thread; this one has no table to read it from.
  if (pragma === 'mmap_size') return threads;
  let inline: unknown = 'never inline';
  for (let i = 0; i < 200 && pool.stats().reads.inline === 0; i++) {
    const table = pool.values(`SELECT * FROM pragma_${pragma}`);
    const ran = pool.stats().reads.inline > 0;
    const found = await value(table);
    if (ran) inline = found;
  }
  return [...threads, inline];
}

const settings: [options: PoolOptions, pragma: string, value: unknown][] = [
  [{}, 'foreign_keys', 1],
  [{ foreignKeys: false }, 'foreign_keys', 0],
  [{ cacheSize: -4321 }, 'cache_size', -4321],
  [{ mmapSize: 1 << 20 }, 'mmap_size', 1 << 20],
  [{}, 'mmap_size', 0],
  [{ pragmas: { recursive_triggers: true } }, 'recursive_triggers', 1],
  [{ pragmas: { temp_store: 'MEMORY' } }, 'temp_store', 2],
  [{ pragmas: { cache_size: 77 }, cacheSize: -5 }, 'cache_size', 77],
];

for (const [options, pragma, value] of settings) {
  test(`${JSON.stringify(options)} sets ${pragma} = ${value} on every connection`, async () => {
    const values = await everywhere(options, pragma);
    expect(new Set(values)).toEqual(new Set([value]));
  });
}

for (const [synchronous, value] of [
  ['normal', 1],
  ['full', 2],
] as const) {
  test(`synchronous: '${synchronous}' is what the writer has`, async () => {
    const pool = openPool(freshFile(), { synchronous });
    const row = await pool.get('PRAGMA synchronous', [], { access: 'write' });
    expect(row).toEqual({ synchronous: value });
    const inside = await pool.transaction((tx) => tx.get('PRAGMA synchronous'));
    expect(inside).toEqual({ synchronous: value });
  });
}

test('foreign keys are enforced unless the option says otherwise', async () => {
  const schema = `CREATE TABLE parent (id INTEGER PRIMARY KEY);
    CREATE TABLE child (parent INTEGER REFERENCES parent (id));`;
  for (const [foreignKeys, wanted] of [
    [true, 'SQLITE_CONSTRAINT_FOREIGNKEY'],
    [false, undefined],
  ] as const) {
    const pool = openPool(freshFile(), { foreignKeys });
    await pool.exec(schema);
    const insert = pool.run('INSERT INTO child VALUES (99)');
    const code = await insert.then(
      () => undefined,
      (error: { code: string }) => error.code,
    );
    expect(code).toBe(wanted);
  }
});

test('a driver that is not there is named, and the file too', async () => {
  const file = freshFile();
  const pool = openPool(file, { driver: 'no-such-driver-of-sqlite' });
  for (const call of [pool.ready(), pool.get('SELECT 1'), pool.run('SELECT 1')]) {
    const error = await failure(call);
    expect(error.message).toContain('no-such-driver-of-sqlite');
    expect(error.message).toContain(file);
  }
  await pool.close();
});

test('a driver that is no SQLite library is refused with a clear error', async () => {
  const pool = openPool(freshFile(), { driver: 'node:path' });
  const error = await failure(pool.ready());
  expect(error.message).toContain('node:path');
  await pool.close();
});
