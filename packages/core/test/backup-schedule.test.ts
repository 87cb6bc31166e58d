import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { createPool, type Pool, type PoolEvents, type ScheduledBackupOptions } from '@poolite/core';
import { expect, test } from 'vitest';
import { bank, inspect } from './support/backups.ts';
import { Child, runScript } from './support/child.ts';
import { failure, freshFile, freshFolder, openPool, outcome } from './support/folder.ts';
import { refuseUnhandled } from './support/observer.ts';

refuseUnhandled();

type Event = 'backup' | 'upkeepError';

/** The next event of a name; it fails in the time of a test. */
function next<Name extends Event>(pool: Pool, name: Name): Promise<PoolEvents[Name][0]> {
  return new Promise((resolve) => {
    const listener = (...[message]: PoolEvents[Name]) => {
      pool.off(name, listener as never);
      resolve(message as PoolEvents[Name][0]);
    };
    pool.on(name, listener as never);
  });
}

const HOUR = 3_600_000;

/** A database, the folder of its backups, and pools on it. */
async function setUp() {
  const file = freshFile('app.db');
  await (await bank(file, 1)).close();
  const directory = join(dirname(file), 'backups');
  const open = (options: Partial<ScheduledBackupOptions> = {}) =>
    openPool(file, { readers: 1, backups: { directory, ...options } });
  return { file, directory, open };
}

/** The name of a backup that began so many seconds ago. */
function nameOf(secondsAgo: number): string {
  const at = new Date(Date.now() - secondsAgo * 1000).toISOString();
  return `backup_${at.slice(0, 19).replaceAll(/[-:]/g, '').replace('T', '_')}.sqlite`;
}

const backupsOf = (directory: string) =>
  readdirSync(directory)
    .filter((name) => !name.startsWith('.'))
    .sort();

test('the first is made at once, under the time of its beginning', async () => {
  const { directory, open } = await setUp();
  const began = Math.floor(Date.now() / 1000) * 1000;
  const pool = open();
  const { scheduled, path, verdict } = await next(pool, 'backup');
  expect([scheduled, verdict]).toEqual([true, 'ok']);
  expect(path).toMatch(/\/backups\/backup_\d{8}_\d{6}\.sqlite$/);
  expect(inspect(path).check).toBe('ok');
  const listed = await pool.backups.list();
  expect(listed).toHaveLength(1);
  expect(listed[0]).toMatchObject({ path, verdict: 'ok', verified: 'quick', compressed: false });
  expect(listed[0]?.createdAt.getTime()).toBeGreaterThanOrEqual(began);
  expect(listed[0]?.age).toBeGreaterThanOrEqual(0);
  const { backups } = pool.stats();
  expect(backups).toMatchObject({ made: 1, failed: 0, skipped: 0, lastBytes: listed[0]?.bytes });
  expect(backups.nextAt).toBeGreaterThan(Date.now() + 23 * HOUR);
  expect(backupsOf(directory)).toHaveLength(1);
});

test('the newest in the folder tells when the next is due, whoever made it', async () => {
  const { directory, open } = await setUp();
  mkdirSync(directory);
  const first = open({ every: HOUR });
  const { path } = await next(first, 'backup');
  await first.close();
  const second = open({ every: HOUR });
  await expect.poll(() => second.stats().backups.nextAt).toBeGreaterThan(Date.now() + HOUR / 2);
  expect(second.stats().backups.made).toBe(0);
  await second.close();
  renameSync(path, join(directory, nameOf(2 * 3600)));
  const third = open({ every: HOUR });
  await next(third, 'backup');
  expect(backupsOf(directory)).toHaveLength(2);
});

test('one follows the other, and only so many are kept', async () => {
  const { directory, open } = await setUp();
  const pool = open({ every: 1000, keep: 2, verify: 'full', compress: 'gzip' });
  const paths: string[] = [];
  while (paths.length < 4) paths.push((await next(pool, 'backup')).path);
  expect(new Set(paths).size).toBe(4);
  await pool.close();
  const { removed } = pool.stats().backups;
  expect(removed).toBeGreaterThanOrEqual(2);
  const left = backupsOf(directory);
  expect(left.length).toBeLessThanOrEqual(2);
  for (const name of left) expect(name).toMatch(/^backup_\d{8}_\d{6}\.sqlite\.gz$/);
});

test('one that is asked for is made at once; meanwhile there is no second', async () => {
  const { directory, open } = await setUp();
  const pool = open({ pace: 3 });
  await pool.ready();
  const [first, second, third] = await Promise.all([
    pool.backups.requestBackup(),
    pool.backups.requestBackup(),
    pool.backups.requestBackup(),
  ]);
  // The one by schedule came first, or one of them: the others are told of it.
  const started = [first, second, third].filter((each) => each.started);
  expect(started.length).toBeLessThanOrEqual(1);
  for (const each of [first, second, third]) {
    expect(each.path).toBe(first.path);
    expect(each.reason).toBe(each.started ? undefined : 'running');
  }
  const made = await Promise.all([first.done, second.done, third.done]);
  expect(made[1]).toEqual(made[0]);
  const again = await pool.backups.requestBackup();
  expect(again).toMatchObject({ started: true, reason: undefined });
  expect((await again.done)?.path).toBe(again.path);
  expect(backupsOf(directory)).toHaveLength(2);
});

test('the newest that is good is never removed', async () => {
  const { directory, open } = await setUp();
  const pool = open({ keep: 1 });
  const good = (await next(pool, 'backup')).path;
  // It is long ago, and those that came after it have become damaged.
  const old = join(directory, nameOf(9000));
  renameSync(good, old);
  for (const age of [500, 600]) {
    writeFileSync(join(directory, nameOf(age)), readFileSync(old).subarray(0, 50_000));
  }
  writeFileSync(join(directory, 'notes.txt'), 'not a backup');
  await pool.close();
  const unchecked = open({ keep: 1, verify: false });
  const { done } = await unchecked.backups.requestBackup();
  await done;
  const listed = await unchecked.backups.list();
  expect(listed.map(({ verdict }) => verdict)).toEqual(['unverified', 'ok']);
  expect(listed.at(-1)?.path).toBe(old);
  await unchecked.close();
  // One that was verified makes all of them superfluous.
  const checked = open({ keep: 1 });
  const last = await (await checked.backups.requestBackup()).done;
  expect((await checked.backups.list()).map(({ path }) => path)).toEqual([last?.path]);
  expect(readdirSync(directory)).toContain('notes.txt');
});

test('a backup that changed is no longer called good, until it is checked again', async () => {
  const { open } = await setUp();
  const pool = open();
  const { path } = await next(pool, 'backup');
  truncateSync(path, 60_000);
  expect((await pool.backups.list())[0]?.verdict).toBe('unverified');
  const [checked] = await pool.backups.list({ verify: 'quick' });
  expect(checked).toMatchObject({ verdict: 'damaged', verified: 'quick', bytes: 60_000 });
  rmSync(path);
  expect(await pool.backups.list()).toEqual([]);
  const error = await failure(pool.backups.list({ verify: 'no' } as never));
  expect(error.message).toContain("option 'verify' must be 'quick' or 'full'");
});

test('without the option there is no schedule, and the methods say so', async () => {
  const pool = openPool(freshFile());
  for (const call of [pool.backups.list(), pool.backups.requestBackup()]) {
    const error = await failure(call);
    expect(error.code).toBe('POOL_MISUSE');
    expect(error.message).toMatch(/needs the option 'backups' of createPool/);
  }
});

test('a failure reaches onError, the event and whoever asked, and nobody else', async () => {
  const { file, open } = await setUp();
  const told: Error[] = [];
  const directory = join(dirname(file), 'missing', 'backups');
  const pool = open({ directory, onError: (error) => told.push(error) });
  const { task, error } = await next(pool, 'upkeepError');
  expect(task).toBe('backup');
  expect((error as { code?: string }).code).toBe('POOL_BACKUP');
  expect(String(error)).toContain(directory);
  await expect.poll(() => told).toEqual([error]);
  expect(await outcome(pool.backups.requestBackup())).toBe('POOL_BACKUP');
  await expect.poll(() => told.length).toBe(2);
  const { failed, made, nextAt } = pool.stats().backups;
  expect([failed, made]).toEqual([2, 0]);
  expect(nextAt).toBeLessThan(Date.now() + 10 * 60_000);
  // It comes right by itself once the cause is gone.
  mkdirSync(dirname(directory));
  expect((await pool.backups.requestBackup()).started).toBe(true);
  await next(pool, 'backup');
});

test('broken foreign keys are told, and the backup is kept', async () => {
  const { open } = await setUp();
  const told: string[] = [];
  const pool = open({ onError: ({ message }) => told.push(message) });
  await next(pool, 'backup');
  await pool.exec(`
    PRAGMA foreign_keys = OFF;
    CREATE TABLE child (parent INTEGER REFERENCES account (id));
    INSERT INTO child VALUES (-1);
    PRAGMA foreign_keys = ON;
  `);
  const { done } = await pool.backups.requestBackup();
  expect((await done)?.verdict).toBe('foreign-keys');
  await expect.poll(() => told).toHaveLength(1);
  expect(told[0]).toMatch(/was made, but row 1 of child/);
});

test('two databases cannot have their backups in one folder', async () => {
  const { directory, open } = await setUp();
  await next(open(), 'backup');
  const other = await setUp();
  const pool = other.open({ directory });
  const { error } = await next(pool, 'upkeepError');
  expect((error as { code?: string }).code).toBe('POOL_OPTIONS');
  expect(String(error)).toMatch(/give each database a folder of its own/);
  expect(backupsOf(directory)).toHaveLength(1);
});

const process2 = `import { createPool } from '@poolite/core';
  const [file, directory, pace] = process.argv.slice(1);
  const backups = { directory, every: 2000, keep: 100, pace: Number(pace) };
  const pool = createPool(file, { readers: 1, backups });
  pool.on('backup', ({ path }) => process.send({ path }));
  pool.on('upkeepError', ({ error }) => process.send({ error: String(error) }));
  process.on('message', async () => {
    const { started, reason } = await pool.backups.requestBackup();
    process.send({ started, reason });
  });
  await pool.ready();
  process.send('ready');`;

test('two processes on one file make one backup each time, not two', async () => {
  const { file, directory } = await setUp();
  const children = [1, 2].map(() => new Child(process2, [file, directory, '1000']));
  const made: string[] = [];
  await Promise.all(
    children
      .map(async (child) => {
        while (made.length < 3) {
          const message = (await child.message()) as { path?: string; error?: string };
          if (message.error !== undefined) throw new Error(message.error);
          if (message.path !== undefined) made.push(message.path);
          // The other may make none: it hears of the end by being killed.
          if (made.length === 3) for (const each of children) void each.end();
        }
      })
      .map((each) =>
        each.catch((error) => {
          if (made.length < 3) throw error;
        }),
      ),
  );
  const parts = /backup_(\d{4})(\d\d)(\d\d)_(\d\d)(\d\d)(\d\d)/;
  const times = made
    .map((path) =>
      Date.parse(path.replace(/^.*(backup_\d+_\d+).*$/, '$1').replace(parts, '$1-$2-$3T$4:$5:$6Z')),
    )
    .sort((a, b) => a - b);
  for (const [i, time] of times.slice(1).entries()) {
    expect(time - (times[i] as number)).toBeGreaterThanOrEqual(2000);
  }
});

test('one process hears that another is at it, and takes over when that is killed', async () => {
  const { file, directory, open } = await setUp();
  const child = new Child(process2, [file, directory, '0.01']);
  await child.message();
  await expect
    .poll(
      () => existsSync(directory) && readdirSync(directory).some((name) => name.includes('tmp')),
    )
    .toBe(true);
  const pool = open({ every: 1000 });
  await pool.ready();
  const refused = await pool.backups.requestBackup();
  expect(refused).toEqual({
    started: false,
    reason: 'another process',
    path: undefined,
    done: undefined,
  });
  await expect.poll(() => pool.stats().backups.skipped).toBeGreaterThan(0);
  // Who lists meanwhile is not in the way.
  expect(await pool.backups.list()).toEqual([]);
  await child.end();
  await next(pool, 'backup');
  expect((await pool.backups.list())[0]?.verdict).toBe('ok');
});

test('closing gives the one by schedule up, and waits for one that was asked for', async () => {
  const { directory, open } = await setUp();
  const pool = open({ pace: 0.01 });
  await expect.poll(() => pool.stats().backups.running).toBe(1);
  // Were it waited for, it would be there.
  await pool.close({ timeout: 600_000 });
  expect(existsSync(directory) ? backupsOf(directory) : []).toEqual([]);
  expect(pool.stats().backups).toMatchObject({ made: 0, failed: 0, running: 0, nextAt: 0 });

  const other = await setUp();
  const second = other.open({ pace: 2, every: HOUR });
  const { done } = await second.backups.requestBackup();
  const { backups } = second;
  const closed = second.close({ timeout: 600_000 });
  const made = await outcome(done as Promise<unknown>);
  await closed;
  // Where the one by schedule was first, that is the one that was under way.
  expect(['resolved', 'POOL_CLOSED']).toContain(made);
  expect(backupsOf(other.directory)).toHaveLength(made === 'resolved' ? 1 : 0);
  expect(await outcome(backups.requestBackup())).toBe('POOL_CLOSED');
});

test('a schedule does not keep the process alive; a backup under way does', async () => {
  const { file, directory } = await setUp();
  const script = `import { createPool } from '@poolite/core';
    const [file, directory] = process.argv.slice(1);
    const pool = createPool(file, { readers: 1, backups: { directory } });
    pool.on('backup', () => console.log('made'));
    await pool.ready();`;
  const first = await runScript(script, { args: [file, directory] });
  expect([first.code, first.stdout, first.stderr]).toEqual([0, 'made\n', '']);
  const second = await runScript(script, { args: [file, directory] });
  expect([second.code, second.stdout, second.stderr]).toEqual([0, '', '']);
  expect(backupsOf(directory)).toHaveLength(1);
});

test('a second pool that a hot reload opens shares the schedule; its onError is the one', async () => {
  const { file, directory } = await setUp();
  const told: string[] = [];
  const pools = ['first', 'second'].map((name) =>
    createPool(file, { readers: 1, backups: { directory, onError: () => told.push(name) } }),
  );
  await Promise.all(pools.map((pool) => pool.ready()));
  // It has ended when the next is known.
  await expect.poll(() => (pools[0] as Pool).stats().backups.nextAt).toBeGreaterThan(0);
  expect(backupsOf(directory)).toHaveLength(1);
  rmSync(directory, { recursive: true });
  writeFileSync(directory, 'a file');
  expect(await outcome((pools[0] as Pool).backups.requestBackup())).toBe('POOL_OPTIONS');
  await expect.poll(() => told).toEqual(['second']);
  for (const pool of pools) await pool.close();
});

test.each([
  [{}, "option 'backups.directory' is missing"],
  [{ directory: '' }, "option 'backups.directory' must be a path"],
  [{ directory: 'b', every: 999 }, "option 'backups.every' must be a whole number of ms from 1000"],
  [{ directory: 'b', keep: 0 }, "option 'backups.keep' must be a whole number from 1"],
  [{ directory: 'b', onError: 'log' }, "option 'backups.onError' must be a function"],
  [{ directory: 'b', evry: 1 }, "unknown option 'backups.evry'"],
  ['backups', "option 'backups' must be an object"],
])('the option %j is refused', (backups, says) => {
  expect(() => createPool('app.db', { backups: backups as never })).toThrow(says);
});

test('a database in memory has no schedule', () => {
  const backups = { directory: join(freshFolder(), 'backups') };
  expect(() => createPool(':memory:', { backups })).toThrow(/copy it by hand, with pool.backup/);
});

test('a clock that was wrong once does not hold up backups', async () => {
  const { directory, open } = await setUp();
  const pool = open({ every: HOUR });
  const { path } = await next(pool, 'backup');
  await pool.close();
  const future = join(directory, nameOf(-2 * 3600));
  renameSync(path, future);
  utimesSync(future, new Date(), new Date());
  await next(open({ every: HOUR }), 'backup');
});
