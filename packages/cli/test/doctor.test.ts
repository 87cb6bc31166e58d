import {
  chmodSync,
  linkSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { describe, expect, onTestFinished, test } from 'vitest';
import type { DoctorReport } from '../src/commands/doctor.ts';
import { json, poolite } from './support/cli.ts';
import { freshFolder, makeDamaged, makeDatabase, makeOrphans } from './support/files.ts';
import { PoolChild } from './support/pool-child.ts';

async function examine(file: string, ...more: string[]) {
  const ended = await poolite(['doctor', file, '--json', ...more]);
  const report = json<DoctorReport>(ended);
  const found = (check: string) => report.findings.find((finding) => finding.check === check);
  return { code: ended.code, stderr: ended.stderr, report, found };
}

test('a healthy database has nothing but marks, and is left as it was', async () => {
  const folder = freshFolder();
  const file = makeDatabase(join(folder, 'app.db'));
  const db = new Database(file);
  db.exec('ANALYZE');
  db.close();
  const before = readFileSync(file);
  const { code, stdout, stderr } = await poolite(['doctor', file]);
  expect([code, stderr]).toEqual([0, '']);
  expect(stdout).toContain('✓  integrity       sound (full check)\n');
  expect(stdout).toContain('✓  journal         WAL mode\n');
  expect(stdout).toContain('✓  open in         no process\n');
  expect(stdout).toMatch(/0 failures, 0 warnings, 0 notes\n$/);
  expect(readdirSync(folder)).toEqual(['app.db']);
  expect(readFileSync(file).equals(before)).toBe(true);
});

test('a damaged database is a failure, whichever check is made', async () => {
  const file = makeDamaged(join(freshFolder(), 'app.db'));
  const full = await examine(file);
  expect([full.code, full.report.status]).toEqual([3, 'fail']);
  expect(full.found('integrity')).toMatchObject({ status: 'fail' });
  expect(full.found('integrity')?.advice).toContain('restore a backup');
  const none = await examine(file, '--no-check');
  expect([none.code, none.found('integrity')]).toEqual([0, undefined]);
});

test('a file that was cut off is a failure', async () => {
  const file = makeDatabase(join(freshFolder(), 'app.db'));
  truncateSync(file, 8 * 4096);
  const { code, found } = await examine(file);
  expect(code).toBe(3);
  expect(found('file')).toMatchObject({ status: 'fail' });
  expect(found('file')?.message).toMatch(/^[\d.]+ kB short: its header counts \d+ pages$/);
});

test('an empty file is no database yet', async () => {
  const file = join(freshFolder(), 'empty.db');
  writeFileSync(file, '');
  const { code, found } = await examine(file);
  expect([code, found('file')?.message]).toEqual([0, 'empty: no database yet']);
});

test('rows without a parent are a failure; a key without an index is a note', async () => {
  const file = makeOrphans(join(freshFolder(), 'app.db'), 3);
  const first = await examine(file);
  expect(first.code).toBe(3);
  expect(first.found('foreign keys')?.message).toBe('3 rows without a parent');
  const db = new Database(file);
  db.exec('DELETE FROM c');
  const second = await examine(file);
  expect(second.code).toBe(0);
  expect(second.found('foreign keys')).toMatchObject({
    status: 'note',
    message: 'no index of c (p), which refers to p',
  });
  const [create] =
    /CREATE INDEX .*?\)(?=\.)/.exec(second.found('foreign keys')?.advice ?? '') ?? [];
  db.exec(create ?? '');
  db.close();
  expect((await examine(file)).found('foreign keys')?.status).toBe('ok');
});

test('a database that is not in WAL mode is a note', async () => {
  const { code, found } = await examine(makeOrphans(join(freshFolder(), 'app.db'), 0));
  expect([code, found('journal')?.status]).toEqual([0, 'note']);
  expect(found('journal')?.advice).toContain('A pool sets WAL mode');
});

test('what a killed process left in the WAL is told, and stays', async () => {
  const file = join(freshFolder(), 'app.db');
  const child = await PoolChild.start(file);
  await child.kill();
  const wal = readFileSync(`${file}-wal`);
  const { found, report } = await examine(file);
  expect(found('WAL')).toMatchObject({ status: 'note' });
  expect(found('WAL')?.message).toContain('left by a process that ended without closing');
  expect(report.facts.wal?.pages).toBeGreaterThan(0);
  expect(readFileSync(`${file}-wal`).equals(wal)).toBe(true);
});

test('whoever has it open is named, and pools that can be watched are counted', async () => {
  const file = join(freshFolder(), 'app.db');
  const child = await PoolChild.start(file);
  const db = new Database(file);
  onTestFinished(() => {
    db.close();
  });
  db.prepare('SELECT * FROM work').all();
  const { code, report, found } = await examine(file, '--quick');
  expect(code).toBe(0);
  expect(report.facts.pools.map(({ pid }) => pid)).toEqual([child.pid]);
  if (process.platform === 'linux') {
    const pids = report.facts.holders.holders.map(({ pid }) => pid);
    expect(pids).toEqual([child.pid, process.pid].sort((a, b) => a - b));
    expect(found('open in')?.message).toContain(`${child.pid} (`);
  }
});

describe.skipIf(process.platform === 'win32')('names and permissions', () => {
  test('a second hard link is a failure', async () => {
    const file = makeDatabase(join(freshFolder(), 'app.db'));
    linkSync(file, `${file}.second`);
    const { code, found } = await examine(file);
    expect([code, found('links')?.message]).toEqual([3, 'the file has 2 names (hard links)']);
  });

  test('a symbolic link leads to the file', async () => {
    const file = makeDatabase(join(freshFolder(), 'app.db'));
    symlinkSync(file, `${file}.link`);
    const { code, found, report } = await examine(`${file}.link`);
    expect([code, report.facts.realPath]).toEqual([0, file]);
    expect(found('file')?.message).toContain(`a link to ${file}`);
  });

  test('a file that everybody may write to is a warning: exit code 3 with --strict alone', async () => {
    const file = makeDatabase(join(freshFolder(), 'app.db'));
    chmodSync(file, 0o666);
    const plain = await examine(file);
    expect([plain.code, plain.report.status]).toEqual([0, 'warn']);
    expect(plain.found('permissions')?.message).toContain('(mode 0666)');
    expect((await examine(file, '--strict')).code).toBe(3);
  });
});

test('a file that is locked as a whole is a warning', async () => {
  const file = makeOrphans(join(freshFolder(), 'app.db'), 0);
  const db = new Database(file);
  onTestFinished(() => {
    db.close();
  });
  db.exec('BEGIN EXCLUSIVE');
  const { code, found } = await examine(file);
  expect(found('integrity')).toMatchObject({ status: 'warn' });
  expect(found('integrity')?.message).toContain('SQLITE_BUSY');
  expect(code).toBe(0);
});
