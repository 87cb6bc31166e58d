import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync, watch, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { describe, expect, test } from 'vitest';
import type { BackupReport } from '../src/commands/backup.ts';
import type { RestoreReport } from '../src/commands/restore.ts';
import type { VerifyResult } from '../src/commands/verify.ts';
import { json, main, poolite, Running } from './support/cli.ts';
import { freshFolder, makeDamaged, makeDatabase, makeOrphans } from './support/files.ts';
import { PoolChild } from './support/pool-child.ts';
import { hasTerminal, Terminal } from './support/terminal.ts';

function countRows(file: string, table = 't'): number {
  const db = new Database(file, { readonly: true });
  try {
    return db.prepare(`SELECT count(*) FROM ${table}`).pluck().get() as number;
  } finally {
    db.close();
  }
}

describe('backup', () => {
  test('copies a database, and leaves it as it was', async () => {
    const folder = freshFolder();
    const file = makeDatabase(join(folder, 'app.db'));
    const before = readFileSync(file);
    const target = join(folder, 'copy.sqlite');
    const ended = await poolite(['backup', file, target, '--verify', 'full', '--json']);
    expect([ended.code, ended.stderr]).toEqual([0, '']);
    expect(json<BackupReport>(ended)).toMatchObject({
      file,
      path: target,
      verdict: 'ok',
      verified: 'full',
      compressed: false,
      problems: [],
    });
    expect(readdirSync(folder).sort()).toEqual(['app.db', 'copy.sqlite']);
    expect(readFileSync(file).equals(before)).toBe(true);
    expect(countRows(target)).toBe(1000);
  });

  test('does not set WAL mode', async () => {
    const folder = freshFolder();
    const file = makeOrphans(join(folder, 'app.db'), 0);
    const { code, stdout } = await poolite(['backup', file, join(folder, 'copy.sqlite')]);
    expect([code, readFileSync(file)[18]]).toEqual([0, 1]);
    expect(stdout).toMatch(/^ok {2}.*copy\.sqlite {2}3 pages, 12\.3 kB in /);
  });

  test('copies while another process writes', async () => {
    const folder = freshFolder();
    const file = join(folder, 'app.db');
    const child = await PoolChild.start(file);
    const target = join(folder, 'copy.sqlite');
    expect((await poolite(['backup', file, target])).code).toBe(0);
    await child.stop();
    expect(countRows(target, 'work')).toBeGreaterThan(0);
    expect(countRows(target, 'work')).toBeLessThanOrEqual(countRows(file, 'work'));
  });

  test('replaces nothing, unless by --force', async () => {
    const folder = freshFolder();
    const file = makeDatabase(join(folder, 'app.db'));
    const target = join(folder, 'precious');
    writeFileSync(target, 'something precious');
    const refused = await poolite(['backup', file, target, '--json']);
    expect(refused.code).toBe(1);
    expect(json<{ error: unknown }>(refused).error).toMatchObject({ code: 'EXISTS' });
    expect(readFileSync(target, 'utf8')).toBe('something precious');
    expect((await poolite(['backup', file, target, '--force'])).code).toBe(0);
    expect(countRows(target)).toBe(1000);
  });

  test('rows without a parent are told: exit code 3, and the backup is there', async () => {
    const folder = freshFolder();
    const file = makeOrphans(join(folder, 'app.db'), 2);
    const target = join(folder, 'copy.sqlite');
    const ended = await poolite(['backup', file, target, '--json']);
    expect([ended.code, json<BackupReport>(ended).verdict]).toEqual([3, 'foreign-keys']);
    expect(countRows(target, 'c')).toBe(2);
  });

  test('of a damaged database fails, and leaves nothing', async () => {
    const folder = freshFolder();
    const file = makeDamaged(join(folder, 'app.db'));
    const ended = await poolite(['backup', file, join(folder, 'copy.sqlite'), '--verify', 'full']);
    expect([ended.code, ended.stdout]).toEqual([1, '']);
    expect(ended.stderr).toMatch(/damaged|malformed/);
    expect(readdirSync(folder)).toEqual(['app.db']);
  });

  test.each<[target: string, why: RegExp]>([
    ['app.db', /is the database itself/],
    ['', /is a folder/],
    ['missing/copy.sqlite', /does not exist/],
  ])('to %j fails, and says why', async (target, why) => {
    const folder = freshFolder();
    const file = makeDatabase(join(folder, 'app.db'));
    const { code, stderr } = await poolite(['backup', file, join(folder, target), '--force']);
    expect(code).toBe(1);
    expect(stderr).toMatch(why);
    expect(readdirSync(folder)).toEqual(['app.db']);
  });

  test.each([
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ] as const)('%s during the copy leaves nothing', async (signal, exitCode) => {
    const folder = freshFolder();
    const target = freshFolder();
    const file = makeDatabase(join(folder, 'app.db'), 30_000);
    const args = ['backup', file, join(target, 'copy.sqlite'), '--pace', '0.5', '--json'];
    const running = new Running(args, {});
    await expect.poll(() => readdirSync(target)).not.toEqual([]);
    running.child.kill(signal);
    const ended = await running.ended;
    expect([ended.code, ended.signal]).toEqual([exitCode, null]);
    expect(json<{ error: unknown }>(ended).error).toMatchObject({ code: 'INTERRUPTED', exitCode });
    expect(readdirSync(target)).toEqual([]);
    expect(readdirSync(folder)).toEqual(['app.db']);
  });
});

test.skipIf(!hasTerminal('poolite backup'))(
  'a bar in a terminal shows how far it is, and Ctrl-C there leaves nothing',
  async () => {
    const folder = freshFolder();
    const target = freshFolder();
    const file = makeDatabase(join(folder, 'app.db'), 30_000);
    const terminal = new Terminal();
    terminal.run(process.execPath, main, 'backup', file, join(target, 'copy'), '--pace', '0.5');
    const bar = /━+─+ {2}\d+ % {2}[\d.]+ [kM]B of [\d.]+ MB/;
    await expect.poll(() => terminal.screen).toMatch(bar);
    expect(readdirSync(target)).not.toEqual([]);
    terminal.press('C-c');
    await expect.poll(() => terminal.screen).toContain('\nended with 130');
    expect(terminal.screen).toContain('poolite: ended by SIGINT; nothing was left half done');
    expect(terminal.screen).not.toMatch(bar);
    expect(readdirSync(target)).toEqual([]);
    expect(readdirSync(folder)).toEqual(['app.db']);
  },
);

describe('restore', () => {
  test('unpacks a compressed backup, which verify looks through', async () => {
    const folder = freshFolder();
    const file = makeDatabase(join(folder, 'app.db'));
    const packed = join(folder, 'copy.gz');
    expect((await poolite(['backup', file, packed, '--compress', 'gzip'])).code).toBe(0);
    const verified = await poolite(['verify', packed, '--json']);
    expect([verified.code, json<VerifyResult>(verified).sound]).toEqual([0, true]);
    const restored = join(folder, 'restored.db');
    const ended = await poolite(['restore', packed, restored, '--json']);
    expect([ended.code, ended.stderr]).toEqual([0, '']);
    const report = json<RestoreReport>(ended);
    expect(report).toMatchObject({ backup: packed, path: restored, replaced: false });
    expect(readdirSync(folder).sort()).toEqual(['app.db', 'copy.gz', 'restored.db']);
    expect(countRows(restored)).toBe(1000);
  });

  test('replaces a database by --force alone', async () => {
    const folder = freshFolder();
    const old = makeDatabase(join(folder, 'app.db'), 10);
    const backup = makeDatabase(join(folder, 'copy.sqlite'), 20);
    expect((await poolite(['restore', backup, old])).code).toBe(1);
    expect(countRows(old)).toBe(10);
    const { code, stdout } = await poolite(['restore', backup, old, '--force']);
    expect(code).toBe(0);
    expect(stdout).toMatch(/^replaced {2}.*app\.db {2}from .*copy\.sqlite: ok, /);
    expect(countRows(old)).toBe(20);
  });

  test('refuses while another process has the file open: exit code 4', async () => {
    const folder = freshFolder();
    const file = join(folder, 'app.db');
    const child = await PoolChild.start(file);
    const backup = makeDatabase(join(folder, 'copy.sqlite'), 20);
    const ended = await poolite(['restore', backup, file, '--force', '--json']);
    expect(ended.code).toBe(4);
    expect(json<{ error: unknown }>(ended).error).toMatchObject({ code: 'POOL_IN_USE' });
    await child.stop();
    expect(countRows(file, 'work')).toBeGreaterThan(0);
  });

  test('of a damaged backup leaves the old file as it was', async () => {
    const folder = freshFolder();
    const file = makeDatabase(join(folder, 'app.db'), 10);
    const backup = makeDamaged(join(folder, 'copy.sqlite'));
    const before = readFileSync(file);
    const { code, stderr } = await poolite(['restore', backup, file, '--force']);
    expect(code).toBe(1);
    expect(stderr).toMatch(/damaged|malformed/);
    expect(readFileSync(file).equals(before)).toBe(true);
    expect(readdirSync(folder).sort()).toEqual(['app.db', 'copy.sqlite']);
  });

  test('Ctrl-C leaves the old file or the new one, and nothing else', async () => {
    const folder = freshFolder();
    const from = freshFolder();
    const file = makeDatabase(join(folder, 'app.db'), 10);
    const backup = makeDatabase(join(from, 'copy.sqlite'), 100_000);
    const watcher = watch(folder);
    const running = new Running(['restore', backup, file, '--force'], {});
    // As soon as it puts something there.
    await Promise.race([once(watcher, 'change'), running.ended]);
    watcher.close();
    running.child.kill('SIGINT');
    const { code } = await running.ended;
    expect([0, 130]).toContain(code);
    expect(readdirSync(folder)).toEqual(['app.db']);
    expect(countRows(file)).toBe(code === 0 ? 100_000 : 10);
  });

  test('of a backup in a bucket asks the bucket for it', async () => {
    const folder = freshFolder();
    const where = 's3://poolite-test-no-such-bucket/key';
    const ended = await poolite(['restore', where, join(folder, 'app.db')]);
    expect([ended.code, readdirSync(folder)]).toEqual([1, []]);
    expect(ended.stderr).toContain(where);
    expect((await poolite(['verify', where])).stderr).toContain(where);
  });

  test('of a backup that is not there fails', async () => {
    const folder = freshFolder();
    const file = join(folder, 'app.db');
    const { code, stderr } = await poolite(['restore', join(folder, 'none'), file]);
    expect([code, existsSync(file)]).toEqual([1, false]);
    expect(stderr).toContain('there is no backup');
  });
});
