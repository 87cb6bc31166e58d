import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Pool } from '@poolite/core';
import { expect, test } from 'vitest';
import { runScript } from '../support/child.ts';
import { failure, freshFile, freshFolder, openPool, outcome } from '../support/folder.ts';
import { member } from './member.ts';
import { pair, TABLE, until } from './pair.ts';

test('a process that dies in a transaction is rolled back at once', async () => {
  const { file, writer } = await pair();
  await writer.exec(TABLE);
  const child = await member(file);
  const held = `(async () => {
    const lease = await pool.lease('write', { timeout: 0 });
    await lease.run('BEGIN IMMEDIATE');
    await lease.run("INSERT INTO t (v) VALUES ('lost')");
  })()`;
  expect(await child.ask(held)).toEqual({});
  const next = writer.run("INSERT INTO t (v) VALUES ('next')");
  child.process.kill('SIGKILL');
  await next;
  expect(await writer.values('SELECT v FROM t')).toEqual([['next']]);
});

test('another process takes over when the writer is killed', async () => {
  const file = freshFile();
  const first = await member(file);
  await first.ask(`pool.exec('${TABLE}')`);
  const client = openPool(file, { writer: 'shared', readers: 1 });
  await client.ready();
  expect(client.stats().writer).toMatchObject({ role: 'client', pid: first.process.pid });
  const roles: unknown[] = [];
  client.on('writer', (message) => roles.push(message));
  await client.run("INSERT INTO t (v) VALUES ('before')");
  let begun: () => void = () => {};
  const isBegun = new Promise<void>((resolve) => {
    begun = resolve;
  });
  const lost = failure(
    client.transaction(async (tx) => {
      await tx.run("INSERT INTO t (v) VALUES ('lost')");
      begun();
      await new Promise(() => {});
    }),
  );
  await isBegun;
  first.process.kill('SIGKILL');
  const killed = performance.now();
  // It waits behind the transaction, and was never sent.
  await client.run("INSERT INTO t (v) VALUES ('after')");
  console.log(`taken over within ${(performance.now() - killed).toFixed(0)} ms`);
  expect(await lost).toMatchObject({ code: 'POOL_THREAD_LOST', retryable: true });
  expect(await client.values('SELECT v FROM t ORDER BY id')).toEqual([['before'], ['after']]);
  expect(client.stats().writer).toMatchObject({ role: 'writer', takeovers: 1, pid: process.pid });
  expect(roles).toEqual([
    { role: 'seeking', pid: undefined },
    { role: 'writer', pid: process.pid },
  ]);
});

test('a clean exit hands over, and nobody sees an error', async () => {
  const file = freshFile();
  const first = await member(file);
  await first.ask(`pool.exec('${TABLE}')`);
  const client = openPool(file, { writer: 'shared', readers: 1 });
  await client.ready();
  let n = 0;
  let going = true;
  const callers = Array.from({ length: 8 }, async () => {
    while (going) await client.run('INSERT INTO t (v) VALUES (?)', [n++]);
  });
  const mover = (async () => {
    while (going) {
      await client.transaction(async (tx) => {
        await tx.run('UPDATE t SET v = v WHERE id = 1');
        await tx.get('SELECT count(*) FROM t');
      });
    }
  })();
  await until(() => n > 200);
  expect(await first.ask('pool.close()')).toEqual({});
  await until(() => client.stats().writer.role === 'writer');
  const then = n;
  await until(() => n > then + 100);
  going = false;
  await Promise.all([...callers, mover]);
  expect(await client.get('SELECT count(*) AS n FROM t')).toEqual({ n });
});

test('a clean exit does not wait for those who wait for a turn', async () => {
  const { file, writer, client } = await pair();
  // With other options than both, so that it is one more process to them.
  const third = openPool(file, { writer: 'shared', readers: 3 });
  await writer.exec(TABLE);
  await third.ready();
  const insert = (pool: Pool, v: string) =>
    pool.transaction((tx) => tx.run('INSERT INTO t (v) VALUES (?)', [v]));
  const moved: Promise<unknown>[] = [];
  let closed: Promise<void> | undefined;
  const started = performance.now();
  await writer.transaction(async (tx) => {
    await tx.run("INSERT INTO t (v) VALUES ('first')");
    moved.push(insert(client, 'second'), insert(third, 'third'));
    await until(() => writer.stats().transactions.waiting === 2);
    closed = writer.close({ timeout: 60_000 });
  });
  await closed;
  expect(performance.now() - started).toBeLessThan(30_000);
  await Promise.all(moved);
  expect(client.stats().writer.role).not.toBe(third.stats().writer.role);
  expect(await client.values('SELECT v FROM t ORDER BY v')).toEqual([
    ['first'],
    ['second'],
    ['third'],
  ]);
});

test('a process that simply ends hands over too', async () => {
  const file = freshFile();
  const client = runScript(
    `import { createPool } from '@poolite/core';
    const pool = createPool(process.argv[1], { writer: 'shared' });
    await pool.exec('${TABLE}');
    process.stdout.write(pool.stats().writer.role);
    // No close(): the loop is empty now.`,
    { args: [file] },
  );
  expect(await client).toMatchObject({ code: 0, stdout: 'writer' });
  const next = openPool(file, { writer: 'shared' });
  await next.run("INSERT INTO t (v) VALUES ('next')");
  expect(next.stats().writer.role).toBe('writer');
});

test('a process that simply ends hands over to those at work, who see no error', async () => {
  const file = freshFile();
  const marker = join(freshFolder(), 'leads');
  const script = runScript(
    `import { writeFileSync } from 'node:fs';
    import { createPool } from '@poolite/core';
    const [file, marker] = process.argv.slice(1);
    const pool = createPool(file, { writer: 'shared', readers: 1 });
    await pool.exec('${TABLE}');
    writeFileSync(marker, '');
    const last = "SELECT 1 FROM t WHERE v = 'end'";
    while (!(await pool.get(last))) await new Promise((go) => setTimeout(go, 5));
    process.stdout.write(pool.stats().writer.role + ' ' + pool.stats().writer.clients);
    // No close(): the loop is empty now.`,
    { args: [file, marker] },
  );
  await until(() => existsSync(marker));
  const client = openPool(file, { writer: 'shared', readers: 1 });
  let n = 0;
  let going = true;
  const callers = Array.from({ length: 8 }, async () => {
    while (going) await client.run('INSERT INTO t (v) VALUES (?)', [n++]);
  });
  const mover = (async () => {
    while (going) await client.transaction((tx) => tx.run('UPDATE t SET v = v WHERE id = 1'));
  })();
  await client.run("INSERT INTO t (v) VALUES ('end')");
  expect(await script).toMatchObject({ code: 0, stdout: 'writer 1', stderr: '' });
  await until(() => client.stats().writer.role === 'writer');
  going = false;
  await Promise.all([...callers, mover]);
  expect(await client.get("SELECT count(*) AS n FROM t WHERE v != 'end'")).toEqual({ n });
});

test.runIf(process.platform !== 'win32')(
  'while the writer hangs nobody else writes, and callers time out',
  async () => {
    const file = freshFile();
    const first = await member(file);
    await first.ask(`pool.exec('${TABLE}')`);
    const client = openPool(file, { writer: 'shared', readers: 1, acquireTimeout: 400 });
    await client.ready();
    first.process.kill('SIGSTOP');
    const sent = client.run("INSERT INTO t (v) VALUES ('sent')");
    const error = await failure(sent);
    expect(error.code).toBe('POOL_OUTCOME_UNKNOWN');
    expect(error.message).toContain('hangs');
    expect(await outcome(client.run("INSERT INTO t (v) VALUES ('queued')"))).toBe('POOL_TIMEOUT');
    expect(await outcome(client.transaction((tx) => tx.run('SELECT 1')))).toBe('POOL_TIMEOUT');
    expect(client.stats().writer.role).toBe('seeking');
    // Reads need nobody.
    expect(await client.get("SELECT count(*) AS n FROM t WHERE v = 'queued'")).toEqual({ n: 0 });
    first.process.kill('SIGCONT');
    await until(() => client.stats().writer.role === 'client');
    await client.run("INSERT INTO t (v) VALUES ('again')");
    expect(await first.ask('pool.stats().writer.role')).toEqual({ value: 'writer' });
  },
);
