import { once } from 'node:events';
import {
  chmodSync,
  chownSync,
  mkdirSync,
  readdirSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { createConnection, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { createPool, type PoolOptions, runningPools } from '@poolite/core';
import { afterEach, beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import { Child, runScript } from './support/child.ts';
import { freshFile, freshFolder, openPool } from './support/folder.ts';

const uid = process.geteuid?.() ?? 0;

/** A child whose pool serves its statistics; it says 'ready', and obeys `close`, `block`, `exit`. */
const SERVING = `import { createPool } from '@poolite/core';
  const [, file, place] = process.argv;
  const pool = createPool(file, { statsSocket: place === undefined ? true : place });
  await pool.ready();
  process.on('message', async (what) => {
    if (what === 'close') await pool.close();
    if (what === 'exit') process.exit(0);
    if (what === 'block') {
      process.send('blocking', () => { for (;;); });
      return;
    }
    process.send('done');
  });
  process.send('ready');`;

async function serving(file: string, folder?: string): Promise<Child> {
  const child = new Child(SERVING, folder === undefined ? [file] : [file, folder]);
  expect(await child.message()).toBe('ready');
  return child;
}

/** The warnings of this process while the test runs. */
function warnings(): string[] {
  const seen: string[] = [];
  const note = (warning: Error) => seen.push(warning.message);
  process.on('warning', note);
  onTestFinished(() => {
    process.off('warning', note);
  });
  return seen;
}

describe.skipIf(process.platform === 'win32')('the socket of a pool', () => {
  // So that the default place is the test's own, for its children too.
  const before = process.env.TMPDIR;
  let place = '';
  let folder = '';
  beforeEach(() => {
    folder = freshFolder();
    process.env.TMPDIR = folder;
    place = join(folder, `poolite-${uid}`);
  });
  afterEach(() => {
    if (before === undefined) delete process.env.TMPDIR;
    else process.env.TMPDIR = before;
  });

  test('is there once the pool is ready, tells its statistics, and goes with it', async () => {
    const file = freshFile();
    const pool = openPool(file, { statsSocket: true });
    await pool.ready();
    expect(statSync(place).mode & 0o777).toBe(0o700);
    await pool.run('CREATE TABLE t (id INTEGER PRIMARY KEY)');
    await pool.run('INSERT INTO t VALUES (1)');
    const [found, ...more] = await runningPools(file, { timeout: 60_000 });
    expect(more).toEqual([]);
    expect(found).toMatchObject({ pid: process.pid, told: { file, script: process.argv[1] } });
    expect(found?.told?.stats.writes.count).toBe(2);
    // What is undefined does not travel.
    const known = JSON.parse(JSON.stringify(pool.stats())) as object;
    expect(Object.keys(found?.told?.stats ?? {})).toEqual(Object.keys(known));
    const age = Date.now() - Date.parse(found?.told?.openedAt ?? '');
    expect(age).toBeGreaterThanOrEqual(0);
    expect(age).toBeLessThan(60_000);
    await pool.close();
    expect(await runningPools(file)).toEqual([]);
    expect(readdirSync(place)).toEqual([]);
  });

  test('is not there without the option', async () => {
    const pool = openPool(freshFile());
    await pool.ready();
    expect(readdirSync(folder)).not.toContain(`poolite-${uid}`);
    expect(await runningPools()).toEqual([]);
  });

  test('is found through every path that leads to the file', async () => {
    const file = join(folder, 'real.db');
    const link = join(folder, 'link.db');
    const pool = openPool(file, { statsSocket: true });
    await pool.ready();
    symlinkSync(file, link);
    for (const path of [file, link, relative(process.cwd(), file)]) {
      expect(await runningPools(path)).toHaveLength(1);
    }
    expect(await runningPools(join(folder, 'other.db'))).toEqual([]);
  });

  test('is one for pools that share their threads, and goes with the last', async () => {
    const file = freshFile();
    const pools = [0, 1].map(() => openPool(file, { statsSocket: true }));
    await Promise.all(pools.map((pool) => pool.ready()));
    expect(await runningPools(file)).toHaveLength(1);
    await pools[0]?.close();
    expect(await runningPools(file)).toHaveLength(1);
    await pools[1]?.close();
    expect(await runningPools(file)).toEqual([]);
  });

  test('is there for every pool of one process and of several', async () => {
    const file = freshFile();
    const other = freshFile();
    const options: PoolOptions[] = [{ readers: 1 }, { readers: 2 }];
    const pools = options.map((each) => openPool(file, { ...each, statsSocket: true }));
    await Promise.all(pools.map((pool) => pool.ready()));
    const child = await serving(file);
    await serving(other);
    const pids = (await runningPools(file)).map(({ pid }) => pid);
    const expected = [process.pid, process.pid, child.process.pid as number];
    expect(pids).toEqual(expected.sort((a, b) => a - b));
    expect(await runningPools()).toHaveLength(4);
    await child.ask('close');
    expect(await runningPools(file)).toHaveLength(2);
  });

  test('is removed by a process that ends without closing its pool', async () => {
    const file = freshFile();
    const child = await serving(file);
    expect(readdirSync(place)).toHaveLength(1);
    child.process.send('exit');
    await once(child.process, 'exit');
    expect(readdirSync(place)).toEqual([]);
  });

  test('does not keep a process alive', async () => {
    const script = `import { createPool } from '@poolite/core';
      const pool = createPool(process.argv[1], { statsSocket: true });
      await pool.ready();`;
    const ended = await runScript(script, { args: [freshFile()] });
    expect([ended.code, ended.stderr]).toEqual([0, '']);
    expect(readdirSync(place)).toEqual([]);
  });

  test('is cleared away after a process was killed, by whoever looks', async () => {
    const file = freshFile();
    const child = await serving(file);
    await child.end();
    expect(readdirSync(place)).toHaveLength(1);
    expect(await runningPools(file)).toEqual([]);
    expect(readdirSync(place)).toEqual([]);
  });

  test('is cleared away after a process was killed, by the next pool of any file', async () => {
    const child = await serving(freshFile());
    await child.end();
    const [dead = ''] = readdirSync(place);
    const pool = openPool(freshFile(), { statsSocket: true });
    await pool.ready();
    await expect.poll(() => readdirSync(place)).not.toContain(dead);
    expect(readdirSync(place)).toHaveLength(1);
  });

  test('of a process that answers nobody is told as silent', async () => {
    const file = freshFile();
    const child = await serving(file);
    expect(await child.ask('block')).toBe('blocking');
    const [found] = await runningPools(file, { timeout: 300 });
    expect(found).toMatchObject({ pid: child.process.pid, told: undefined });
  });

  test('lies in the folder that was asked for', async () => {
    const file = freshFile();
    const asked = join(folder, 'some', 'where');
    const pool = openPool(file, { statsSocket: asked });
    await pool.ready();
    expect(statSync(asked).mode & 0o777).toBe(0o700);
    expect(readdirSync(asked)).toHaveLength(1);
    expect(await runningPools(file)).toEqual([]);
    expect(await runningPools(file, { folder: asked })).toHaveLength(1);
  });

  test('goes to /tmp where the folder for temporary files has too long a path', async () => {
    const long = join(folder, 'x'.repeat(80));
    mkdirSync(long);
    process.env.TMPDIR = long;
    const file = freshFile();
    const pool = openPool(file, { statsSocket: true });
    await pool.ready();
    const [found] = await runningPools(file);
    expect(found?.socket.startsWith(`/tmp/poolite-${uid}/`)).toBe(true);
    process.env.TMPDIR = folder;
    expect(await runningPools(file)).toHaveLength(1);
  });

  test.each<[what: string, why: RegExp, make: (place: string) => void]>([
    [
      'may be entered by others',
      /others may enter .*chmod 700/,
      (place) => {
        mkdirSync(place);
        chmodSync(place, 0o755);
      },
    ],
    ['is a file', /not a folder|EEXIST/, (place) => writeFileSync(place, '')],
    ['is a link', /not a folder/, (place) => symlinkSync(freshFolder(), place)],
  ])('is not made where its folder %s: the pool works without', async (_what, why, make) => {
    make(place);
    const seen = warnings();
    const file = freshFile();
    const pool = openPool(file, { statsSocket: true });
    expect(await pool.get('SELECT 1 AS one')).toEqual({ one: 1 });
    await expect.poll(() => seen).toHaveLength(1);
    expect(seen[0]).toMatch(why);
    expect(seen[0]).toContain(file);
    expect(await runningPools(file)).toEqual([]);
  });

  test.skipIf(uid !== 0)('is not made in a folder that belongs to somebody else', async () => {
    const asked = join(folder, 'theirs');
    mkdirSync(asked, { mode: 0o700 });
    chownSync(asked, 12345, 12345);
    const seen = warnings();
    const pool = openPool(freshFile(), { statsSocket: asked });
    await pool.ready();
    await expect.poll(() => seen).toHaveLength(1);
    expect(seen[0]).toContain('belongs to another user');
    expect(readdirSync(asked)).toEqual([]);
  });

  test('reads nothing from whoever asks, and hangs up', async () => {
    const file = freshFile();
    const pool = openPool(file, { statsSocket: true });
    await pool.ready();
    const [found] = await runningPools(file);
    const talker = createConnection(found?.socket ?? '');
    talker.on('error', () => {});
    const left = new Promise((resolve) => talker.on('close', resolve));
    const block = Buffer.alloc(64 * 1024, 'x');
    let sent = 0;
    const talk = () => {
      while (!talker.destroyed && talker.write(block)) sent += block.length;
      sent += block.length;
    };
    talker.on('drain', talk);
    talk();
    talker.resume();
    await left;
    expect(sent).toBeLessThan(16 * 1024 * 1024);
    expect(await runningPools(file)).toHaveLength(1);
  });

  test('answers many at once, and somebody who never reads keeps nothing open', async () => {
    const file = freshFile();
    const pool = openPool(file, { statsSocket: true });
    await pool.ready();
    const [found] = await runningPools(file);
    const silent = createConnection(found?.socket ?? '');
    onTestFinished(() => {
      silent.destroy();
    });
    await once(silent, 'connect');
    const answers = await Promise.all(Array.from({ length: 20 }, () => runningPools(file)));
    expect(answers.map((each) => each.length)).toEqual(Array(20).fill(1));
    await pool.close();
    expect(readdirSync(place)).toEqual([]);
  });

  test.each<[what: string, answer: string | 'endless']>([
    ['nothing', ''],
    ['no JSON', 'hello\n'],
    ['null', 'null\n'],
    ['another JSON', '{"poolite":2}\n'],
    ['no statistics', '{"poolite":1,"file":"f","script":"s","openedAt":"o","stats":null}\n'],
    ['more than anybody wants', 'endless'],
  ])('is no pool where something else answers %s', async (_what, answer) => {
    const file = freshFile();
    const pool = openPool(file, { statsSocket: true });
    await pool.ready();
    const [real] = await runningPools(file);
    await pool.close();
    const server = createServer((socket) => {
      socket.on('error', () => {});
      if (answer !== 'endless') return void socket.end(answer);
      const block = Buffer.alloc(64 * 1024, '"');
      const write = () => {
        while (socket.write(block));
      };
      socket.on('drain', write);
      write();
    });
    server.listen(real?.socket);
    await once(server, 'listening');
    onTestFinished(() => {
      server.close();
    });
    expect(await runningPools(file)).toEqual([]);
  });

  test('works in every worker of a cluster', async () => {
    const file = freshFile();
    const script = join(folder, 'cluster.mjs');
    writeFileSync(
      script,
      `import cluster from 'node:cluster';
      import { createRequire } from 'node:module';
      const { createPool, runningPools } = createRequire(process.argv[3])('@poolite/core');
      const pool = createPool(process.argv[2], { statsSocket: true });
      await pool.ready();
      if (cluster.isPrimary) {
        const workers = [cluster.fork(), cluster.fork()];
        let up = 0;
        for (const worker of workers) worker.on('message', async () => {
          if (++up < workers.length) return;
          const found = await runningPools(process.argv[2]);
          console.log(new Set(found.map(({ pid }) => pid)).size);
          for (const each of workers) each.kill();
          await pool.close();
        });
      } else process.send('up');`,
    );
    const ended = await runScript({ file: script }, { args: [file, import.meta.filename] });
    expect([ended.code, ended.stdout.trim(), ended.stderr]).toEqual([0, '3', '']);
  });
});

describe('the option', () => {
  test.each<[value: unknown, file: string, why: RegExp]>([
    [1, 'app.db', /'statsSocket' must be true, false or the path of a folder, not 1/],
    ['', 'app.db', /'statsSocket' must be true, false or the path of a folder, not ""/],
    [true, ':memory:', /'statsSocket' contradicts a database in memory/],
    [join(tmpdir(), 'x'.repeat(90)), 'app.db', /'statsSocket': sockets need short paths, and \//],
  ])('%j is refused for %s', (statsSocket, file, why) => {
    expect(() => createPool(file, { statsSocket } as never)).toThrow(why);
  });

  test('false is no socket', async () => {
    const pool = openPool(freshFile(), { statsSocket: false });
    await pool.ready();
    expect(pool.stats().state).toBe('open');
  });
});

// Where `/tmp` was used, nothing of these tests stays.
afterEach(() => {
  const shared = `/tmp/poolite-${uid}`;
  try {
    if (readdirSync(shared).length === 0) rmSync(shared, { recursive: true });
  } catch {
    // It is not there, or another process's pools are in it.
  }
});
