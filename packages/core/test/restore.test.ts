import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  copyFileSync,
  existsSync,
  linkSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { createPool, restoreBackup } from '@poolite/core';
import Database from 'better-sqlite3';
import { describe, expect, onTestFinished, test } from 'vitest';
import { age, leftovers, original, smallDisk } from './support/backups.ts';
import { Child, OtherConnection } from './support/child.ts';
import { failure, freshFile, openPool, outcome } from './support/folder.ts';
import { shownRandom } from './support/random.ts';

/** A database whose rows all say the same, and a backup of it in which they say something else. */
async function twoStates(compress: false | 'gzip' | 'zstd' = false) {
  const file = freshFile('app.db');
  const folder = dirname(file);
  const backup = join(folder, 'backup');
  const made = await original(`backup ${compress}`, (to) => makeTwoStates(to, compress));
  copyFileSync(made, file);
  copyFileSync(`${made}.backup`, backup);
  return { file, folder, backup };
}

async function makeTwoStates(file: string, compress: false | 'gzip' | 'zstd'): Promise<void> {
  const pool = createPool(file, { readers: 1 });
  await pool.exec('CREATE TABLE t (id INTEGER PRIMARY KEY, state TEXT, ballast BLOB)');
  const rows = Array.from({ length: 300 }, () => ['backup', 10_000]);
  await pool.runMany('INSERT INTO t (state, ballast) VALUES (?, randomblob(?))', rows);
  await pool.backup(`${file}.backup`, { compress });
  await pool.run("UPDATE t SET state = 'old'");
  await pool.close();
}

/** The one state that all rows have; the file must be sound, and whole by itself. */
function stateOf(file: string): string {
  const db = new Database(file, { fileMustExist: true });
  try {
    expect(db.pragma('integrity_check', { simple: true })).toBe('ok');
    const states = db.prepare('SELECT DISTINCT state FROM t').pluck().all();
    expect(db.prepare('SELECT count(*) FROM t').pluck().get()).toBe(300);
    expect(states).toHaveLength(1);
    return states[0] as string;
  } finally {
    db.close();
  }
}

test.each([false, 'gzip', 'zstd'] as const)(
  'a backup (compressed: %s) takes the place',
  async (compress) => {
    const { file, folder, backup } = await twoStates(compress);
    chmodSync(file, 0o604);
    const result = await restoreBackup(backup, file);
    expect(result).toMatchObject({ path: file, verdict: 'ok', verified: 'full', replaced: true });
    expect(result.bytes).toBe(result.pages * result.pageSize);
    expect(stateOf(file)).toBe('backup');
    expect(statSync(file).mode & 0o777).toBe(0o604);
    expect(readdirSync(folder).sort()).toEqual(['app.db', 'backup']);
    const pool = openPool(file, { readers: 1 });
    await pool.run("UPDATE t SET state = 'new'");
    await pool.close();
    expect(stateOf(file)).toBe('new');
  },
);

test('a database that is not there is made, also where a WAL of it is left', async () => {
  const { folder, backup } = await twoStates();
  const file = join(folder, 'new.db');
  writeFileSync(`${file}-wal`, 'what is left');
  writeFileSync(`${file}-shm`, 'what is left');
  writeFileSync(`${file}-journal`, 'what is left');
  expect((await restoreBackup(backup, file, { verify: 'quick' })).replaced).toBe(false);
  expect(readdirSync(folder).sort()).toEqual(['app.db', 'backup', 'new.db']);
  expect(stateOf(file)).toBe('backup');
});

test('the WAL of a process that was killed goes with the old database', async () => {
  const { file, backup } = await twoStates();
  const child = new Child(
    `import Database from 'better-sqlite3';
    const db = new Database(process.argv[1]);
    db.pragma('wal_autocheckpoint = 0');
    db.exec("UPDATE t SET state = 'in the WAL'");
    process.send('written');
    setInterval(() => {}, 1000);`,
    [file],
  );
  await child.message();
  await child.end();
  expect(statSync(`${file}-wal`).size).toBeGreaterThan(1000);
  await restoreBackup(backup, file);
  expect(existsSync(`${file}-wal`)).toBe(false);
  expect(stateOf(file)).toBe('backup');
});

test('a link is followed', async () => {
  const { file, folder, backup } = await twoStates();
  const link = join(folder, 'link');
  symlinkSync(file, link);
  expect((await restoreBackup(backup, link)).path).toBe(file);
  expect(stateOf(file)).toBe('backup');
});

describe('while somebody has the file open', () => {
  test('this process: it is refused', async () => {
    const { file, backup } = await twoStates();
    const pool = openPool(file, { readers: 1 });
    await pool.ready();
    const error = await failure(restoreBackup(backup, file));
    expect(error.code).toBe('POOL_IN_USE');
    expect(error.stack).toContain('restore.test.ts');
    expect(await pool.get('SELECT DISTINCT state FROM t')).toEqual({ state: 'old' });
    await pool.run("UPDATE t SET state = 'newer'");
    await pool.close();
    await restoreBackup(backup, file);
    expect(stateOf(file)).toBe('backup');
  });

  test.each(['wal', 'delete'])(
    'another process, in mode %s and idle: it is refused',
    async (mode) => {
      const { file, folder, backup } = await twoStates();
      const other = new OtherConnection(file);
      await other.exec(`PRAGMA journal_mode = ${mode}; SELECT count(*) FROM t`);
      const error = await failure(restoreBackup(backup, file));
      expect(error.code).toBe('POOL_IN_USE');
      if (process.platform === 'linux') expect(error.message).toContain(`${other.process.pid}`);
      await other.exec("UPDATE t SET state = 'newer'");
      await other.end();
      expect(leftovers(folder)).toEqual([]);
      expect(stateOf(file)).toBe('newer');
      await restoreBackup(backup, file);
      expect(stateOf(file)).toBe('backup');
    },
  );

  test('its lock alone refuses it, where nobody can tell who has files open', async () => {
    const { file, backup } = await twoStates();
    const other = new OtherConnection(file);
    await other.exec('SELECT count(*) FROM t');
    // A child without a view of other processes: its own process and its threads are all it sees.
    const script = `import { restoreBackup } from '@poolite/core';
      const [backup, file] = process.argv.slice(1);
      await restoreBackup(backup, file).catch((error) => console.log(error.code, error.message));`;
    const args = ['--pid', '--fork', '--mount-proc', process.execPath, '--input-type=module', '-e'];
    const cwd = new URL('..', import.meta.url);
    const run = spawnSync('unshare', [...args, script, '--', backup, file], {
      cwd,
      encoding: 'utf8',
    });
    if (run.status !== 0) {
      console.log(`skipped: no process space of its own can be had here (${run.stderr})`);
      return;
    }
    expect(run.stdout).toMatch(/^POOL_IN_USE .* its lock cannot be had/);
    await other.end();
    expect(stateOf(file)).toBe('old');
  });
});

describe('the old database stays as it is', () => {
  const wrong: Record<
    string,
    [spoil: (backup: string, folder: string) => string, code: string, says: RegExp]
  > = {
    'a damaged backup': [
      (backup) => {
        const bytes = readFileSync(backup);
        bytes.fill(0x5a, 4096, 8192);
        writeFileSync(backup, bytes);
        return backup;
      },
      'POOL_BACKUP',
      /is damaged, and .*app\.db was left as it is/,
    ],
    'a backup that was cut off': [
      (backup) => {
        writeFileSync(backup, readFileSync(backup).subarray(0, 100_000));
        return backup;
      },
      'POOL_BACKUP',
      /is damaged: it has 100000 bytes/,
    ],
    'a backup of which nothing is left': [
      (backup) => {
        writeFileSync(backup, '');
        return backup;
      },
      'POOL_BACKUP',
      /backup is damaged, and .*app\.db was left as it is: it is empty/,
    ],
    'what is no backup': [
      (backup) => {
        writeFileSync(backup, 'x'.repeat(8192));
        return backup;
      },
      'POOL_BACKUP',
      /\/backup is not an SQLite database/,
    ],
    'a missing backup': [(backup) => `${backup}.no`, 'POOL_BACKUP', /there is no backup/],
    'the database itself': [
      (_, folder) => join(folder, 'app.db'),
      'POOL_MISUSE',
      /is the database itself/,
    ],
    'its second name': [
      (_, folder) => {
        linkSync(join(folder, 'app.db'), join(folder, 'name'));
        return join(folder, 'name');
      },
      'POOL_MISUSE',
      /is the database itself/,
    ],
    'a database in use': [
      (_, folder) => {
        const db = new Database(join(folder, 'used.db'));
        db.pragma('journal_mode = WAL');
        db.exec('CREATE TABLE t (id)');
        onTestFinished(() => {
          db.close();
        });
        return join(folder, 'used.db');
      },
      'POOL_BACKUP',
      /is no backup but a database in use/,
    ],
  };

  test.each(Object.entries(wrong))('for %s', async (_, [spoil, code, says]) => {
    const { file, folder, backup } = await twoStates();
    const from = spoil(backup, folder);
    const before = readFileSync(file);
    const error = await failure(restoreBackup(from, file));
    expect(error.code).toBe(code);
    expect(error.message).toMatch(says);
    expect(readFileSync(file).equals(before)).toBe(true);
    expect(leftovers(folder)).toEqual([]);
  });

  test('when it is given up', async () => {
    const { file, folder, backup } = await twoStates('gzip');
    expect(await outcome(restoreBackup(backup, file, { signal: AbortSignal.abort() }))).toBe(
      'POOL_ABORTED',
    );
    const controller = new AbortController();
    const restoring = restoreBackup(backup, file, { signal: controller.signal });
    setImmediate(() => controller.abort());
    expect(await outcome(restoring)).toBe('POOL_ABORTED');
    expect(readdirSync(folder).sort()).toEqual(['app.db', 'backup']);
    expect(stateOf(file)).toBe('old');
  });

  test('when the disk is full', async () => {
    const { file, backup } = await twoStates();
    const disk = smallDisk(5);
    if ('reason' in disk) {
      console.log(`skipped: no small disk can be mounted here (${disk.reason})`);
      return;
    }
    const there = join(disk.folder, 'app.db');
    copyFileSync(file, there);
    const error = await failure(restoreBackup(backup, there));
    expect(error.code).toBe('POOL_BACKUP');
    expect(error.message).toMatch(/the disk is full/);
    expect(readdirSync(disk.folder)).toEqual(['app.db']);
    expect(stateOf(there)).toBe('old');
  });
});

test('a database that is damaged beyond reading is replaced, with what lies beside it', async () => {
  const { file, folder, backup } = await twoStates();
  for (const end of ['', '-wal', '-shm']) writeFileSync(file + end, 'no database at all');
  await restoreBackup(backup, file);
  expect(readdirSync(folder).sort()).toEqual(['app.db', 'backup']);
  expect(stateOf(file)).toBe('backup');
});

test('a damaged backup is put in place where that is asked for', async () => {
  const { file, backup } = await twoStates();
  const bytes = readFileSync(backup);
  bytes.fill(0x5a, bytes.length - 4096);
  writeFileSync(backup, bytes);
  expect((await restoreBackup(backup, file, { verify: false })).verdict).toBe('unverified');
  expect(readFileSync(file).subarray(-4096).equals(bytes.subarray(-4096))).toBe(true);
});

test('killed at any moment, the file is the old database or the backup, whole', async () => {
  const random = shownRandom();
  const { file, folder, backup } = await twoStates();
  const old = join(folder, 'old');
  await restoreBackup(backup, join(folder, 'copy.db'));
  copyFileSync(file, old);
  const found = new Set<string>();
  for (let round = 0; round < 6; round++) {
    // One after the other takes the place, as fast as it goes, each with a WAL to be cleared.
    const child = new Child(
      `import { restoreBackup } from '@poolite/core';
      const [file, ...backups] = process.argv.slice(1);
      for (let i = 0; ; i++) {
        await restoreBackup(backups[i % 2], file, { verify: 'quick' });
        process.send('restored');
      }`,
      [file, ...(round % 2 === 0 ? [backup, old] : [old, backup])],
    );
    for (let i = Math.floor(random() * 3); i >= 0; i--) await child.message();
    await new Promise((resolve) => setTimeout(resolve, random() * 120));
    await child.end();
    found.add(stateOf(file));
  }
  for (const each of found) expect(['old', 'backup']).toContain(each);
  age(folder);
  await restoreBackup(backup, file);
  expect(leftovers(folder)).toEqual([]);
  expect(stateOf(file)).toBe('backup');
});

test.each([
  [{ verfy: true }, "unknown option 'verfy' of restoreBackup"],
  [{ verify: true }, "option 'verify' must be 'quick' or 'full', not true"],
])('the options %j are refused', async (options, says) => {
  const error = await failure(restoreBackup('a', 'b', options as never));
  expect(error.code).toBe('POOL_OPTIONS');
  expect(error.message).toContain(says);
});
