import { join } from 'node:path';
import { createPool } from '@poolite/core';
import { describe, expect, test } from 'vitest';
import { frame, sparkline } from '../src/top/frame.ts';
import { plainLine } from '../src/top/lines.ts';
import { ratesOf, Watch, type Watched } from '../src/top/rates.ts';
import { json, main, poolite, Running } from './support/cli.ts';
import { freshFolder, makeDatabase } from './support/files.ts';
import { PoolChild } from './support/pool-child.ts';
import { hasTerminal, Terminal } from './support/terminal.ts';

interface Look {
  time: string;
  file: string;
  pools: Watched['pool'][] & { rates?: Watched['rates'] }[];
}

describe.skipIf(process.platform === 'win32')('top', () => {
  test('prints a line for each look where there is no terminal', async () => {
    const file = join(freshFolder(), 'app.db');
    const child = await PoolChild.start(file);
    const ended = await poolite(['top', file, '--interval', '100', '--count', '3']);
    expect([ended.code, ended.stderr]).toEqual([0, '']);
    expect(ended.stdout.trimEnd().split('\n')).toHaveLength(3);
    // A busy machine lets a pool do nothing for as long as that: it is looked at until it has.
    const running = new Running(['top', file, '--interval', '200'], {});
    await expect
      .poll(() => running.stdout)
      .toMatch(new RegExp(`^\\d{4}-.*Z pid ${child.pid} open, WAL `, 'm'));
    await expect
      .poll(() => running.stdout)
      .toMatch(/ reads [1-9][\d,]*\/s .* writes [1-9][\d,]*\/s .* groups .* WAL /);
    running.child.kill('SIGINT');
    expect(await running.ended).toMatchObject({ code: 0, stderr: '' });
    await child.stop();
  });

  test('prints a JSON document for each look', async () => {
    const file = join(freshFolder(), 'app.db');
    const child = await PoolChild.start(file);
    const running = new Running(['top', file, '--json', '--interval', '100'], {});
    const looks = () =>
      running.stdout
        .split('\n')
        .slice(0, -1)
        .map((line) => (JSON.parse(line) as Look).pools[0]);
    await expect.poll(() => looks().some((pool) => (pool?.rates?.writes ?? 0) > 0)).toBe(true);
    running.child.kill('SIGINT');
    expect((await running.ended).code).toBe(0);
    const [first] = looks();
    expect(first?.pid).toBe(child.pid);
    expect(first?.rates).toBeUndefined();
    const told = looks().find((pool) => pool?.told !== undefined);
    expect(told).toMatchObject({ told: { file, stats: { state: 'open' } } });
  });

  test('shows all processes, and ends when the last pool closes', async () => {
    const file = join(freshFolder(), 'app.db');
    const children = [await PoolChild.start(file), await PoolChild.start(file)];
    const running = new Running(['top', file, '--interval', '100'], {});
    await running.lines(4);
    for (const child of children) await child.stop();
    const { code, stdout } = await running.ended;
    expect(code).toBe(0);
    for (const { pid } of children) expect(stdout).toContain(` pid ${pid} `);
  });

  test('ends with Ctrl-C, which is no failure', async () => {
    const file = join(freshFolder(), 'app.db');
    await PoolChild.start(file);
    const running = new Running(['top', file, '--interval', '60000'], {});
    await running.lines(1);
    running.child.kill('SIGINT');
    const { code, signal } = await running.ended;
    expect([code, signal]).toEqual([0, null]);
  });

  test('a pool whose folder is its own is found by it alone', async () => {
    const folder = freshFolder();
    const file = join(folder, 'app.db');
    const sockets = join(folder, 'sockets');
    await PoolChild.start(file, sockets);
    expect((await poolite(['top', file, '--count', '1'])).code).toBe(1);
    const { code, stdout } = await poolite(['top', file, '--count', '1', '--sockets', sockets]);
    expect(code).toBe(0);
    // It is open, or too busy to say so.
    expect(stdout).toMatch(/ pid \d+ (open, WAL |does not answer)/);
  });

  test('says how a pool can be watched where there is none', async () => {
    const ended = await poolite(['top', makeDatabase(join(freshFolder(), 'app.db')), '--json']);
    expect(ended.code).toBe(1);
    const { error } = json<{ error: { code: string; message: string } }>(ended);
    expect(error.code).toBe('NO_POOL');
    expect(error.message).toContain('statsSocket: true');
  });

  test.skipIf(!hasTerminal('poolite top'))('draws in a terminal, and ends with q', async () => {
    const file = join(freshFolder(), 'app.db');
    const child = await PoolChild.start(file);
    const terminal = new Terminal();
    terminal.run(process.execPath, main, 'top', file, '--interval', '200');
    const wanted = new RegExp(
      `1 pool .*q: quit[\\s\\S]*pid ${child.pid}  open  for [\\s\\S]* writes +[1-9][\\d,]*/s ` +
        '[\\s\\S]*latency +mean now +p50 +p99 +max[\\s\\S]* write +\\d[\\s\\S]* WAL ',
    );
    await expect.poll(() => terminal.screen).toMatch(wanted);
    // It draws in place: however often it looks, the head is there once.
    const time = () => /(\d\d:\d\d:\d\d) {2}q: quit/.exec(terminal.screen)?.[1];
    const before = time();
    await expect.poll(time).not.toBe(before);
    expect(terminal.screen.match(/q: quit/g)).toHaveLength(1);
    terminal.press('q');
    await expect.poll(() => terminal.screen).toContain('\nended with 0');
  });
});

describe('what it makes of statistics', () => {
  // Those of a pool that has done nothing yet.
  const stats = createPool(':memory:').stats();
  const later = {
    ...stats,
    reads: { ...stats.reads, inline: 300, threaded: 100 },
    writes: { ...stats.writes, count: 60, groups: 20 },
    transactions: { ...stats.transactions, count: 10 },
    latency: { ...stats.latency, write: { count: 20, mean: 2, p50: 2, p99: 9, max: 9 } },
  };
  const pool = (of: typeof stats) => ({
    pid: 7,
    socket: '/tmp/7.sock',
    told: { file: '/app.db', script: 'server.js', openedAt: '2026-01-01T00:00:00Z', stats: of },
  });

  test('rates are differences by time', () => {
    expect(ratesOf({ at: 1000, stats }, { at: 3000, stats: later })).toEqual({
      reads: 200,
      inlinePart: 0.75,
      writes: 30,
      groups: 10,
      groupSize: 3,
      transactions: 5,
      inlineMs: 0,
      readMs: 0,
      writeMs: 2,
    });
  });

  test('the mean of now is not that of all', () => {
    const write = { count: 30, mean: 4, p50: 2, p99: 9, max: 9 };
    const third = { ...later, latency: { ...later.latency, write } };
    expect(ratesOf({ at: 0, stats: later }, { at: 1000, stats: third }).writeMs).toBe(8);
  });

  test('a pool that does not answer keeps what was seen before', () => {
    const watch = new Watch();
    expect(watch.look([pool(stats)], 0)[0]?.rates).toBeUndefined();
    const [silent] = watch.look([{ ...pool(stats), told: undefined }], 1000);
    expect(plainLine(silent as Watched, new Date(0))).toBe(
      '1970-01-01T00:00:00.000Z pid 7 does not answer: its event loop is busy',
    );
    expect(watch.look([pool(later)], 2000)[0]?.rates?.reads).toBe(200);
  });

  test('a frame fits into its terminal', () => {
    const watch = new Watch();
    watch.look([pool(stats)], 0);
    const watched = watch.look([pool(later)], 1000);
    for (const [columns, rows] of [
      [40, 8],
      [80, 24],
      [200, 3],
    ] as const) {
      const lines = frame('app.db', watched, new Date(), { columns, rows }).split('\n');
      expect(lines.length).toBeLessThan(rows);
      for (const line of lines) expect([...line].length).toBeLessThanOrEqual(columns);
    }
  });

  test('what is sent, and how replication is getting on, is shown', () => {
    const { backups } = stats;
    const sending = { totalBytes: 2_000_000_000, doneBytes: 800_000_000 };
    const replication = {
      state: 'waiting' as const,
      url: 's3://bucket/app',
      version: '0.3.13',
      pid: undefined,
      lagMs: 2500,
      restarts: 3,
      errors: 4,
      restoredBytes: undefined,
      lastError: 'no route to the bucket',
    };
    const busy = { ...later, backups: { ...backups, stored: 7, sending }, replication };
    const watch = new Watch();
    watch.look([pool(stats)], 0);
    const watched = watch.look([pool(busy)], 1000);
    const drawn = frame('app.db', watched, new Date(), { columns: 200, rows: 50 });
    expect(drawn).toMatch(/ sent +7 +sending 40 % of 2\.00 GB/);
    expect(drawn).toMatch(
      / replication +waiting +lag 2\.5 s +to s3:\/\/bucket\/app +restarts 3 +litestream 0\.3\.13/,
    );
    expect(drawn).toMatch(/^ +no route to the bucket$/m);
    expect(drawn).toMatch(/ trouble .* replication errors 4/);
    expect(plainLine(watched[0] as Watched, new Date(0))).toMatch(
      / sending 40 % of 2\.00 GB replication waiting lag 2\.5 s$/,
    );
    const [calm] = watch.look([pool(later)], 2000);
    expect(plainLine(calm as Watched, new Date(0))).not.toMatch(/sending|replication/);
  });

  test('a row of bars', () => {
    expect(sparkline([0, 50, 100])).toBe('▁▅█');
    expect(sparkline([0, 0])).toBe('▁▁');
  });
});
