import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { type BackupProgress, verifyBackup } from '@poolite/core';
import Database from 'better-sqlite3';
import { describe, expect, onTestFinished, test } from 'vitest';
import { ACCOUNTS, bank, CENTS, inspect, moveMoney, smallBank } from './support/backups.ts';
import { runScript } from './support/child.ts';
import {
  failure,
  freshFile,
  freshFolder,
  openPool,
  outcome,
  writeModule,
} from './support/folder.ts';
import { refuseUnhandled } from './support/observer.ts';

refuseUnhandled();

test('a backup has every row, is a file of its own, and says what it is', async () => {
  const { pool, folder } = await smallBank();
  const target = join(folder, 'backup.sqlite');
  const made = await pool.backup(target);
  expect(made).toMatchObject({
    path: target,
    bytes: statSync(target).size,
    pageSize: 4096,
    verdict: 'ok',
    verified: 'quick',
    problems: [],
    compressed: false,
  });
  expect(made.pages * made.pageSize).toBe(made.bytes);
  expect(made.duration).toBeGreaterThanOrEqual(made.held);
  expect(inspect(target)).toEqual({ check: 'ok', sum: ACCOUNTS * CENTS, ballast: 100 });
  expect(readdirSync(folder).sort()).toEqual([
    'app.db',
    'app.db-shm',
    'app.db-wal',
    'backup.sqlite',
  ]);
});

test('a backup can be read where its folder cannot be written', async () => {
  const { pool, folder } = await smallBank();
  const target = join(folder, 'backup.sqlite');
  await pool.backup(target);
  const db = new Database(target, { readonly: true });
  expect(db.pragma('journal_mode', { simple: true })).toBe('delete');
  db.close();
  expect(existsSync(`${target}-wal`)).toBe(false);
});

test('a backup taken while eight callers move money conserves the sum', async () => {
  const file = freshFile('app.db');
  const pool = await bank(file, 12);
  const folder = dirname(file);
  const stop = moveMoney(pool, 8);
  const targets = [1, 2, 3].map((n) => join(folder, `backup-${n}.sqlite`));
  // The first slowly, so that much is written during it; the others together.
  await pool.backup(targets[0] as string, { pace: 20 });
  await Promise.all(targets.slice(1).map((target) => pool.backup(target, { verify: 'full' })));
  const moves = await stop();
  for (const each of moves) expect(each).toBeGreaterThan(0);
  for (const target of targets) {
    expect(inspect(target)).toEqual({ check: 'ok', sum: ACCOUNTS * CENTS, ballast: 1200 });
  }
});

test('writes go on during the copy, which never begins anew', async () => {
  const file = freshFile('app.db');
  const pool = await bank(file, 10);
  const remaining: number[] = [];
  let during = 0;
  let copying = true;
  const stop = moveMoney(pool, 2);
  const write = async () => {
    for (; copying; during++) await pool.run('UPDATE ballast SET bytes = bytes WHERE id = 1');
  };
  const writing = write();
  await pool.backup(join(dirname(file), 'backup.sqlite'), {
    pace: 20,
    onProgress: ({ remainingPages }) => remaining.push(remainingPages),
  });
  copying = false;
  await writing;
  await stop();
  // Were they held up, one would be all that is done: the one that was under way.
  expect(during).toBeGreaterThan(2);
  expect(remaining).toEqual([...remaining].sort((a, b) => b - a));
});

test('a backup has what was written before it, awaited or not, and nothing that came later', async () => {
  const { pool, folder } = await smallBank();
  const target = join(folder, 'backup.sqlite');
  const before = pool.run('INSERT INTO ballast (id, bytes) VALUES (5000, NULL)');
  const made = pool.backup(target, {
    onProgress: ({ remainingPages }) => {
      if (remainingPages > 0) void pool.run('INSERT OR IGNORE INTO ballast (id) VALUES (6000)');
    },
  });
  await Promise.all([before, made]);
  const db = new Database(target, { readonly: true });
  onTestFinished(() => {
    db.close();
  });
  expect(db.prepare('SELECT id FROM ballast WHERE id >= 5000').pluck().all()).toEqual([5000]);
});

test.runIf(process.platform === 'linux')('only the thread of the copy steps back', async () => {
  const file = freshFile('app.db');
  await (await bank(file, 3)).close();
  // In a process of its own, whose threads for files and compression no other test has started.
  const script = `import { createPool } from '@poolite/core';
    import { readdirSync, readFileSync } from 'node:fs';
    const [file] = process.argv.slice(1);
    const pool = createPool(file, { readers: 1 });
    await pool.ready();
    const nice = (id) => readFileSync('/proc/self/task/' + id + '/stat', 'utf8').split(') ')[1].split(' ')[16];
    const own = nice(process.pid);
    // What other threads have, at each look. A report may come late: then there is no copy to be seen.
    const seen = new Set();
    const onProgress = () => {
      const others = readdirSync('/proc/self/task').map(nice).filter((each) => each !== own);
      if (others.length > 0) seen.add(others.join());
    };
    const options = { pace: 20, compress: 'gzip', onProgress };
    while (seen.size === 0) await pool.backup(file + '.backup', options);
    await pool.close();
    console.log([...seen].join(' '));`;
  const { stdout, stderr } = await runScript(script, { args: [file] });
  expect([stdout, stderr]).toEqual(['10\n', '']);
});

test('progress begins with everything and ends with nothing left', async () => {
  const { pool, folder } = await smallBank();
  const told: BackupProgress[] = [];
  const { pages } = await pool.backup(join(folder, 'b'), { onProgress: (each) => told.push(each) });
  expect(told[0]).toEqual({ totalPages: pages, remainingPages: pages });
  expect(told.at(-1)).toEqual({ totalPages: pages, remainingPages: 0 });
});

test('pace is kept', async () => {
  const file = freshFile('app.db');
  const pool = await bank(file, 6);
  const { held, bytes } = await pool.backup(join(dirname(file), 'b'), { pace: 10 });
  // The last step need not be waited for.
  expect(held).toBeGreaterThan(((bytes / 1e6 - 1.1) / 10) * 1000);
});

describe.each(['gzip', 'zstd'] as const)('compressed by %s', (compress) => {
  test('it is smaller, is verified, and is damaged when a byte of it changes', async () => {
    const { pool, folder } = await smallBank();
    await pool.exec('INSERT INTO ballast (bytes) VALUES (zeroblob(1000000))');
    const target = join(folder, 'backup');
    const made = await pool.backup(target, { compress });
    expect(made).toMatchObject({
      verdict: 'ok',
      compressed: compress,
      bytes: statSync(target).size,
    });
    expect(made.bytes).toBeLessThan(made.pages * made.pageSize - 900_000);
    expect(await verifyBackup(target)).toMatchObject({ verdict: 'ok', pages: made.pages });
    const bytes = readFileSync(target);
    const middle = bytes.length >> 1;
    bytes[middle] = (bytes[middle] as number) ^ 0xff;
    writeFileSync(target, bytes);
    expect((await verifyBackup(target)).verdict).toBe('damaged');
    truncateSync(target, middle);
    const { verdict, problems } = await verifyBackup(target);
    expect([verdict, problems.length]).toEqual(['damaged', 1]);
    expect(readdirSync(folder).filter((name) => name.includes('tmp'))).toEqual([]);
  });
});

test('an existing file is replaced at once, also where a link leads to it', async () => {
  const { pool, folder } = await smallBank();
  const target = join(folder, 'backup.sqlite');
  writeFileSync(target, 'what was there before');
  mkdirSync(join(folder, 'elsewhere'));
  const link = join(folder, 'elsewhere', 'latest');
  symlinkSync(target, link);
  // A report may arrive when the file is in place already, so what was there is not
  // required of each: only that the file is one of the two, whole, at every look.
  const seen: string[] = [];
  const made = await pool.backup(link, {
    onProgress: () => seen.push(readFileSync(target, 'latin1')),
  });
  const whole = readFileSync(target, 'latin1');
  expect(seen.length).toBeGreaterThan(0);
  for (const bytes of seen) expect(['what was there before', whole]).toContain(bytes);
  expect(made.path).toBe(target);
  expect(inspect(target).check).toBe('ok');
  expect(readdirSync(join(folder, 'elsewhere'))).toEqual(['latest']);
});

test('a backup is for those who may read the database, and nobody else', async () => {
  const { pool, file, folder } = await smallBank();
  chmodSync(file, 0o640);
  for (const compress of [false, 'gzip'] as const) {
    const target = join(folder, `backup-${compress}`);
    await pool.backup(target, { compress });
    expect(statSync(target).mode & 0o777).toBe(0o640);
  }
});

test('rows without their parents are told, and the backup is kept', async () => {
  const { pool, folder } = await smallBank();
  await pool.exec(`
    PRAGMA foreign_keys = OFF;
    CREATE TABLE child (id INTEGER PRIMARY KEY, parent INTEGER REFERENCES account (id));
    INSERT INTO child VALUES (7, 9999);
    PRAGMA foreign_keys = ON;
  `);
  const target = join(folder, 'b');
  const { verdict, problems } = await pool.backup(target);
  expect(verdict).toBe('foreign-keys');
  expect(problems).toEqual(['row 7 of child refers to a row of account that is not there']);
  expect((await verifyBackup(target)).verdict).toBe('foreign-keys');
  expect((await pool.backup(target, { verify: false })).verdict).toBe('unverified');
});

/** Spoils an index, which only a full check compares with its table, or a page of a table. */
function damage(file: string, what: 'index' | 'page'): void {
  const db = new Database(file);
  const root = db
    .prepare('SELECT rootpage FROM sqlite_schema WHERE name = ?')
    .pluck()
    .get(what === 'index' ? 'by_bytes' : 'account') as number;
  db.pragma('wal_checkpoint(TRUNCATE)');
  db.close();
  const bytes = readFileSync(file);
  const start = (root - 1) * 4096;
  if (what === 'page') bytes.fill(0x5a, start, start + 4096);
  // The number of cells: the index has fewer entries than its table has rows.
  else bytes.writeUInt16BE(bytes.readUInt16BE(start + 3) - 1, start + 3);
  writeFileSync(file, bytes);
}

test.each(['index', 'page'] as const)(
  'a database with a spoilt %s is not backed up',
  async (what) => {
    const file = freshFile('app.db');
    await (await bank(file, 1)).close();
    damage(file, what);
    const pool = openPool(file, { readers: 1 });
    const target = join(dirname(file), 'b');
    const error = await failure(pool.backup(target, { verify: 'full' }));
    expect(error.code).toBe('POOL_BACKUP');
    expect(error.message).toMatch(/damaged/);
    expect(readdirSync(dirname(file)).some((name) => name.includes('b.') || name === 'b')).toBe(
      false,
    );
    await pool.backup(target, { verify: false });
    expect((await verifyBackup(target)).verdict).toBe('damaged');
  },
);

test('functions of the setup module are there when the backup is verified', async () => {
  const file = freshFile('app.db');
  const source = `export default (db) => {
    db.function('twice', { deterministic: true }, (n) => n * 2);
  };`;
  const setup = writeModule(file, 'setup.mjs', source);
  const pool = openPool(file, { readers: 1, setup });
  await pool.exec(`
    CREATE TABLE t (n INTEGER CHECK (twice(n) < 100));
    CREATE INDEX by_twice ON t (twice(n));
    INSERT INTO t VALUES (1), (2);
  `);
  const target = join(dirname(file), 'b');
  expect((await pool.backup(target, { verify: 'full' })).verdict).toBe('ok');
  expect((await verifyBackup(target, { setup })).verdict).toBe('ok');
  const error = await failure(verifyBackup(target));
  expect(error.message).toMatch(/twice/);
});

test.each([':memory:', ''])('a database in memory (%j) is copied too', async (name) => {
  const folder = freshFolder();
  const pool = openPool(name);
  await pool.exec("CREATE TABLE t (text TEXT); INSERT INTO t VALUES ('it''s')");
  const told: BackupProgress[] = [];
  const target = join(folder, "it's a backup");
  const made = await pool.backup(target, {
    compress: 'gzip',
    onProgress: (each) => told.push(each),
  });
  expect(made).toMatchObject({ pages: 2, verdict: 'ok', compressed: 'gzip' });
  expect(told.at(-1)).toEqual({ totalPages: 2, remainingPages: 0 });
  expect(readdirSync(folder)).toEqual(["it's a backup"]);
  await pool.transaction(async () => {
    expect(await outcome(pool.backup(target))).toBe('POOL_DEADLOCK');
  });
});

test('a readonly pool makes backups, and so does a snapshot of one that is busy', async () => {
  const { pool, file, folder } = await smallBank();
  const reading = openPool(file, { readonly: true });
  expect((await reading.backup(join(folder, 'b1'))).verdict).toBe('ok');
  await pool.transaction(async (tx) => {
    await tx.run('DELETE FROM account');
    expect((await pool.backup(join(folder, 'b2'))).verdict).toBe('ok');
  });
  expect(inspect(join(folder, 'b2')).sum).toBe(ACCOUNTS * CENTS);
});

test('integers as bigints and pragmas of the user do not disturb it', async () => {
  const file = freshFile('app.db');
  const pool = openPool(file, { integers: 'bigint', pragmas: { temp_store: 'memory' } });
  await pool.exec(
    'CREATE TABLE t (id INTEGER PRIMARY KEY); INSERT INTO t VALUES (9007199254740993)',
  );
  const { pages, verdict } = await pool.backup(join(dirname(file), 'b'));
  expect([pages, verdict]).toEqual([2, 'ok']);
});
