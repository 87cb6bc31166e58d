import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { expect, test } from 'vitest';
import {
  ACCOUNTS,
  age,
  bank,
  CENTS,
  inspect,
  leftovers,
  remove,
  smallDisk,
} from './support/backups.ts';
import { Child } from './support/child.ts';
import { failure, freshFile, outcome } from './support/folder.ts';
import { refuseUnhandled } from './support/observer.ts';
import { shownRandom } from './support/random.ts';

refuseUnhandled();

const whole = { check: 'ok', sum: ACCOUNTS * CENTS, ballast: 600 };

/** A process that backs a file up, again and again, and says how far each copy is. */
function backingUp(file: string, target: string, options: object): Child {
  return new Child(
    `import { createPool } from '@poolite/core';
    const [file, target, options] = process.argv.slice(1);
    const pool = createPool(file, { readers: 1 });
    const onProgress = ({ totalPages, remainingPages }) => process.send(remainingPages / totalPages);
    for (;;) {
      await pool.backup(target, { ...JSON.parse(options), onProgress });
      process.send('made');
    }`,
    [file, target, JSON.stringify(options)],
  );
}

test.each([
  ['in the middle of its copy', { pace: 10 }, 0.6],
  ['while it is being compressed', { pace: Number.MAX_VALUE, compress: 'gzip' }, 0],
])('a process that is killed %s leaves what the next backup removes', async (_, options, share) => {
  const file = freshFile('app.db');
  const folder = dirname(file);
  const pool = await bank(file, 6);
  const target = join(folder, 'backup');
  for (;;) {
    const child = backingUp(file, target, options);
    for (let left = 1; left > share; left = (await child.message()) as number);
    await child.end();
    if (!existsSync(target)) break;
    // What it told came late: that one was made, and perhaps others.
    for (const name of ['backup', ...leftovers(folder)]) remove(join(folder, name));
  }
  expect(leftovers(folder)).toHaveLength(1);
  // Its owner could be about to lock it.
  await pool.backup(target);
  expect(leftovers(folder)).toHaveLength(1);
  age(folder);
  await pool.backup(target);
  expect(leftovers(folder)).toEqual([]);
  expect(inspect(target)).toEqual(whole);
});

test('what a process that lives is working on is never removed, however old it looks', async () => {
  const file = freshFile('app.db');
  const folder = dirname(file);
  const pool = await bank(file, 6);
  const child = backingUp(file, join(folder, 'theirs'), { pace: 0.02 });
  await child.message();
  const before = leftovers(folder);
  expect(before).toHaveLength(1);
  age(folder);
  await pool.backup(join(folder, 'ours'));
  expect(leftovers(folder)).toEqual(before);
  await child.end();
  age(folder);
  await pool.backup(join(folder, 'ours'));
  expect(leftovers(folder)).toEqual([]);
});

test('killed at any moment, there is the whole backup of before or a new one', async () => {
  const random = shownRandom();
  const file = freshFile('app.db');
  const folder = dirname(file);
  const pool = await bank(file, 6);
  const target = join(folder, 'backup');
  await pool.backup(target);
  for (let round = 0; round < 5; round++) {
    const child = backingUp(file, target, { pace: Number.MAX_VALUE });
    // Some messages of some backups later, and some time after that: also within its last steps.
    for (let i = 1 + Math.floor(random() * 8); i > 0; i--) await child.message();
    await new Promise((resolve) => setTimeout(resolve, random() * 60));
    await child.end();
    expect(inspect(target)).toEqual(whole);
  }
  age(folder);
  await pool.backup(target);
  expect(readdirSync(folder).sort()).toEqual(['app.db', 'app.db-shm', 'app.db-wal', 'backup']);
});

test.each([
  ['plain', {}],
  ['compressed', { compress: 'gzip', pace: Number.POSITIVE_INFINITY }],
] as const)('on a full disk a %s backup fails, says so and leaves nothing', async (_, options) => {
  const disk = smallDisk(4);
  if ('reason' in disk) {
    console.log(`skipped: no small disk can be mounted here (${disk.reason})`);
    return;
  }
  const file = freshFile('app.db');
  const pool = await bank(file, 6);
  const target = join(disk.folder, 'backup');
  writeFileSync(target, 'the one of before');
  const error = await failure(pool.backup(target, options));
  expect(error.code).toBe('POOL_BACKUP');
  expect(error.message).toMatch(/the disk is full: make room/);
  expect((error.cause as { code: string }).code).toMatch(/^(SQLITE_FULL|ENOSPC)$/);
  expect(readdirSync(disk.folder)).toEqual(['backup']);
  expect(await pool.get('SELECT sum(cents) AS sum FROM account')).toEqual({ sum: whole.sum });
});

test('a folder that cannot be written is named', async () => {
  const disk = smallDisk(4);
  if ('reason' in disk) {
    console.log(`skipped: no small disk can be mounted here (${disk.reason})`);
    return;
  }
  mkdirSync(join(disk.folder, 'backups'));
  spawnSync('mount', ['-o', 'remount,ro', disk.folder]);
  const pool = await bank(freshFile('app.db'), 1);
  const target = join(disk.folder, 'backups', 'backup');
  const error = await failure(pool.backup(target));
  expect(error.code).toBe('POOL_BACKUP');
  expect(error.message).toContain(target);
  expect(error.message).toMatch(/the folder cannot be written/);
  expect(await outcome(pool.backup(join(disk.folder, 'b')))).toBe('POOL_BACKUP');
});
