import { closeSync, openSync, readdirSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { createPool } from '@poolite/core';
import { expect, test } from 'vitest';
import type { BackupsReport } from '../src/commands/backups.ts';
import { json, poolite } from './support/cli.ts';
import { freshFolder } from './support/files.ts';

test('lists what a pool has made, with its verdict', async () => {
  const folder = freshFolder();
  const directory = join(folder, 'backups');
  await using pool = createPool(join(folder, 'app.db'), { backups: { directory } });
  await pool.exec('CREATE TABLE t (id)');
  // The first is due at once.
  const { path, done } = await pool.backups.requestBackup();
  await done;
  const names = readdirSync(directory).filter((name) => name.startsWith('backup_'));
  const ended = await poolite(['backups', directory, '--json']);
  expect([ended.code, ended.stderr]).toEqual([0, '']);
  const report = json<BackupsReport>(ended);
  expect(report.backups.map(({ name }) => name)).toEqual(names.sort().reverse());
  expect(report.backups.map((backup) => backup.path)).toContain(path);
  expect(report.backups[0]).toMatchObject({ verdict: 'ok', compressed: false });
  expect(report.backups[0]?.age).toBeGreaterThanOrEqual(0);
  const text = await poolite(['backups', directory]);
  expect(text.stdout).toMatch(/^backup_\d{8}_\d{6}.* ago +[\d.]+ kB .*ok\n[\s\S]*1 backup, /);

  // One that was damaged since is found by looking again.
  const handle = openSync(path ?? '', 'r+');
  writeSync(handle, Buffer.alloc(4096, 0xa5), 0, 4096, 4096);
  closeSync(handle);
  const anew = await poolite(['backups', directory, '--verify', 'full', '--json']);
  expect(anew.code).toBe(3);
  expect(json<BackupsReport>(anew).backups[0]).toMatchObject({ verdict: 'damaged', path });
});

test('a folder without backups has none, and no folder is an error', async () => {
  const folder = freshFolder();
  const empty = await poolite(['backups', folder]);
  expect([empty.code, empty.stdout]).toEqual([0, `${folder}: no backups\n`]);
  const missing = await poolite(['backups', join(folder, 'missing'), '--json']);
  expect(missing.code).toBe(1);
  expect(json<{ error: unknown }>(missing).error).toMatchObject({ code: 'NOT_FOUND' });
});
