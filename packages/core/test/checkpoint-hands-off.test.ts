import { createHash } from 'node:crypto';
import { existsSync, readFileSync, statSync } from 'node:fs';
import Database from 'better-sqlite3';
import { expect, test } from 'vitest';
import { runScript } from './support/child.ts';
import { failure, freshFile, openPool } from './support/folder.ts';

/** As many pages: SQLite begins to checkpoint at 1000. */
const ROWS = 1500;

/** A file in WAL mode, of which nothing is in the WAL. */
function emptyFile(): string {
  const file = freshFile();
  const db = new Database(file);
  db.exec('PRAGMA journal_mode = WAL; CREATE TABLE t (id INTEGER PRIMARY KEY, b BLOB)');
  db.close();
  return file;
}

function contents(file: string): string {
  return createHash('sha1').update(readFileSync(file)).digest('hex');
}

/** Writes well over what SQLite would have checkpointed by itself, then ends in its own way. */
function program(end: string): string {
  return `
    import { createPool } from '@poolite/core';
    const [file, inlineReads] = process.argv.slice(1);
    const pool = createPool(file, { checkpoint: 'hands-off', inlineReads });
    await pool.runMany(
      'INSERT INTO t (b) VALUES (?)',
      Array.from({ length: ${ROWS} }, () => [Buffer.alloc(3000, 1)]),
    );
    for (let i = 0; i < 5; i++) await pool.get('SELECT b FROM t WHERE id = ?', [i]);
    await pool.run('DELETE FROM t WHERE id = 1');
    ${end}
  `;
}

test.each([
  ['close()', 'await pool.close();', 0],
  ['close({ force: true })', 'await pool.close({ force: true });', 0],
  [
    'close() while a reader is at work',
    'void pool.all("WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c LIMIT 300000) SELECT count(*) FROM c").catch(() => {}); await pool.close({ timeout: 1 });',
    0,
  ],
  ['its last line', '', 0],
  ['process.exit()', 'process.exit(3);', 3],
  ['an error that nobody catches', 'throw new Error("oops");', 1],
  ['SIGKILL', "process.kill(process.pid, 'SIGKILL');", null],
])('a hands-off pool leaves the WAL alone when it ends with %s', async (_name, end, code) => {
  for (const inlineReads of ['auto', 'off']) {
    const file = emptyFile();
    const before = contents(file);
    const ended = await runScript(program(end), { args: [file, inlineReads] });
    expect(ended).toMatchObject({ code });
    expect(statSync(`${file}-wal`).size).toBeGreaterThan(ROWS * 3000);
    expect(contents(file)).toBe(before);
    const db = new Database(file, { readonly: true });
    expect(db.prepare('SELECT count(*) FROM t').pluck().get()).toBe(ROWS - 1);
    db.close();
  }
});

test('the same without hands-off is empty after close()', async () => {
  const file = emptyFile();
  const source = program('await pool.close();').replace("checkpoint: 'hands-off', ", '');
  const ended = await runScript(source, { args: [file, 'auto'] });
  expect(ended).toMatchObject({ code: 0 });
  expect(existsSync(`${file}-wal`)).toBe(false);
});

test.each(['PASSIVE', 'FULL', 'RESTART', 'TRUNCATE'] as const)(
  'a hands-off pool refuses a checkpoint by hand: %s',
  async (mode) => {
    const pool = openPool(emptyFile(), { checkpoint: 'hands-off' });
    const error = await failure(pool.checkpoint(mode));
    expect(error).toMatchObject({ code: 'POOL_MISUSE' });
    expect(error.message).toContain("'hands-off'");
    expect(pool.stats().checkpoints.count).toBe(0);
  },
);

test('a hands-off pool on a file that is held in no WAL yet sets it, and leaves it alone', async () => {
  const file = freshFile();
  const pool = openPool(file, { checkpoint: 'hands-off' });
  await pool.exec('CREATE TABLE t (b)');
  await pool.close();
  expect(statSync(`${file}-wal`).size).toBeGreaterThan(0);
  const db = new Database(file);
  expect(db.prepare('SELECT count(*) FROM t').pluck().get()).toBe(0);
  db.close();
});
