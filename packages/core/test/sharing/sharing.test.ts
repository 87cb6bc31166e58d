import { chmodSync, existsSync, mkdirSync, statSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { createPool, type Pool } from '@poolite/core';
import Database from 'better-sqlite3';
import { expect, test } from 'vitest';
import { runScript } from '../support/child.ts';
import { failure, freshFile, freshFolder, openPool, outcome } from '../support/folder.ts';
import { member } from './member.ts';
import { pair, until } from './pair.ts';

const TABLE = 'CREATE TABLE t (id INTEGER PRIMARY KEY, v UNIQUE)';

test('the first pool writes, and the next sends it its writes', async () => {
  const { file, writer, client } = await pair();
  expect(writer.stats().writer).toEqual({
    ...{ role: 'writer', pid: process.pid, clients: 1, takeovers: 0 },
  });
  expect(client.stats().writer).toEqual({
    ...{ role: 'client', pid: process.pid, clients: 0, takeovers: 0 },
  });
  await client.exec(TABLE);
  expect(await client.run('INSERT INTO t (v) VALUES (?)', ['a'])).toEqual({
    ...{ changes: 1, lastInsertRowid: 1 },
  });
  expect(await writer.all('SELECT * FROM t')).toEqual([{ id: 1, v: 'a' }]);
  if (process.platform === 'win32') return;
  expect(statSync(`${file}-writer`).mode & 0o777).toBe(0o700);
  expect(statSync(`${file}-writer/socket`).isSocket()).toBe(true);
});

test('every kind of write goes to the other process, and comes back as it would at home', async () => {
  const { client } = await pair();
  await client.exec(TABLE);
  expect(
    await client.batch([
      { sql: 'INSERT INTO t (v) VALUES (?) RETURNING id, v', params: ['x'] },
      { sql: 'SELECT count(*) FROM t', rows: 'array' },
    ]),
  ).toEqual([
    { rows: [{ id: 1, v: 'x' }], changes: 1, lastInsertRowid: 1 },
    { rows: [[1]], changes: 0, lastInsertRowid: 0 },
  ]);
  const sets = Array.from({ length: 5000 }, (_, i) => [`many ${i}`]);
  expect(await client.runMany('INSERT INTO t (v) VALUES (?)', sets)).toEqual({ changes: 5000 });
  expect(await client.all("UPDATE t SET v = 'y' WHERE v = 'x' RETURNING v")).toEqual([{ v: 'y' }]);
  await client.transaction(async (tx) => {
    await tx.run('INSERT INTO t (v) VALUES (:v)', { v: 'in' });
    await tx
      .savepoint(async (inner) => {
        await inner.run("DELETE FROM t WHERE v = 'in'");
        throw new Error('undo');
      })
      .catch(() => {});
    expect(await tx.get("SELECT v FROM t WHERE v = 'in'")).toEqual({ v: 'in' });
    const rows: unknown[] = [];
    for await (const row of tx.iterate('SELECT v FROM t', [], { chunkSize: 1000 })) rows.push(row);
    expect(rows).toHaveLength(5002);
    expect(await tx.all('SELECT v FROM t')).toHaveLength(5002);
  });
  await client.run('VACUUM');
  expect((await client.checkpoint('TRUNCATE')).busy).toBe(0);
  const lease = await client.lease('write');
  await lease.run('CREATE TEMP TABLE mine (a)');
  await lease.run('BEGIN');
  expect(await lease.run('INSERT INTO mine VALUES (1)')).toMatchObject({ changes: 1 });
  expect(lease.inTransaction).toBe(true);
  await lease.run('ROLLBACK');
  expect(await lease.all('SELECT * FROM mine')).toEqual([]);
  await lease.release();
});

test('values cross as they are', async () => {
  const { client } = await pair({ integers: 'auto' });
  await client.exec('CREATE TABLE v (a, b, c, d, e, f)');
  const values = [
    null,
    2n ** 62n,
    -0.5,
    'ünï\u{1f600}',
    Buffer.from([0, 255]),
    Number.MIN_SAFE_INTEGER,
  ];
  await client.run('INSERT INTO v VALUES (?, ?, ?, ?, ?, ?)', values as never);
  const [row] = await client.values('INSERT INTO v SELECT * FROM v RETURNING *');
  expect(row).toEqual(values);
  const large = 'x'.repeat(3_000_000);
  const blob = Buffer.alloc(3_000_000, 7);
  await client.run('INSERT INTO v (a, b) VALUES (?, ?)', [large, blob]);
  await client.transaction(async (tx) => {
    const got = await tx.get<{ a: string; b: Buffer }>('SELECT a, b FROM v WHERE length(a) > 9');
    expect(got?.a === large && got.b.equals(blob)).toBe(true);
  });
});

test('errors are those of SQLite, with the lines of the caller', async () => {
  const { client } = await pair();
  await client.exec(TABLE);
  await client.run("INSERT INTO t (v) VALUES ('a')");
  const error = await failure(client.run("INSERT INTO t (v) VALUES ('a')"));
  expect(error).toBeInstanceOf(Database.SqliteError);
  expect(error.code).toBe('SQLITE_CONSTRAINT_UNIQUE');
  expect(error.stack).toContain('sharing.test.ts');
  const inTransaction = client.transaction((tx) => tx.run("INSERT INTO t (v) VALUES ('a')"));
  expect(await outcome(inTransaction)).toBe('SQLITE_CONSTRAINT_UNIQUE');
  const batch = client.batch([{ sql: 'SELECT 1' }, { sql: "INSERT INTO t (v) VALUES ('a')" }]);
  expect(await failure(batch)).toMatchObject({ index: 1 });
});

test('writes of all processes share groups', async () => {
  const { writer, client } = await pair();
  await client.exec(TABLE);
  const before = writer.stats().writes;
  const all: Promise<unknown>[] = [];
  for (let i = 0; i < 300; i++) {
    all.push(writer.run('INSERT INTO t (v) VALUES (?)', [`w${i}`]));
    all.push(client.run('INSERT INTO t (v) VALUES (?)', [`c${i}`]));
  }
  await Promise.all(all);
  const after = writer.stats().writes;
  // As many groups as the own writes and those of the client would take by themselves, at most.
  expect(after.groups - before.groups).toBeLessThan(60);
  const rows = await client.values<[string]>('SELECT v FROM t ORDER BY id');
  for (const name of ['w', 'c']) {
    const own = rows.map(([v]) => v).filter((v) => v.startsWith(name));
    expect(own).toEqual(Array.from({ length: 300 }, (_, i) => `${name}${i}`));
  }
});

test('one process has at most its share of every group and of the turns', async () => {
  const { writer, client } = await pair();
  await client.exec(TABLE);
  const all: Promise<unknown>[] = [];
  const insert = 'INSERT INTO t (v) VALUES (?)';
  // All of them wait before the first of them may go. What the writer's own process wants would
  // fill many groups, of 1,024 writes.
  const lease = await writer.lease('write');
  for (let i = 0; i < 4000; i++) all.push(writer.run(insert, [`w${i}`]));
  all.push(client.run(insert, ['c']));
  await until(() => writer.stats().writes.queued === 4001);
  await lease.release();
  await Promise.all(all.splice(0));
  const { id } = (await writer.get<{ id: number }>("SELECT id FROM t WHERE v = 'c'")) ?? {};
  expect(id).toBeLessThanOrEqual(1024);

  const turn = (pool: Pool, name: string) => pool.transaction((tx) => tx.run(insert, [name]));
  const before = await writer.lease('write');
  for (let i = 0; i < 40; i++) all.push(turn(writer, `turn w${i}`));
  all.push(turn(client, 'turn c'));
  await until(() => writer.stats().transactions.waiting === 41);
  await before.release();
  await Promise.all(all);
  const turns = await writer.values("SELECT v FROM t WHERE v LIKE 'turn%' ORDER BY id");
  expect(turns.length).toBe(41);
  expect(turns.findIndex(([v]) => v === 'turn c')).toBeLessThanOrEqual(1);
});

test('a read sees every write that was acknowledged, and those issued before it', async () => {
  const { writer, client } = await pair();
  await client.exec(TABLE);
  for (let i = 1; i <= 30; i++) {
    const pool = i % 2 === 0 ? writer : client;
    await pool.run('INSERT INTO t (v) VALUES (?)', [i]);
    expect(await pool.get('SELECT count(*) AS n FROM t')).toEqual({ n: i });
  }
  void client.run('INSERT INTO t (v) VALUES (31)');
  expect(await client.get('SELECT count(*) AS n FROM t')).toEqual({ n: 31 });
});

test('a transaction may wait for a read of its own pool, whatever else was written', async () => {
  const { client } = await pair();
  await client.exec(TABLE);
  await client.transaction(async (tx) => {
    await tx.run("INSERT INTO t (v) VALUES ('in')");
    expect(await client.get('SELECT count(*) AS n FROM t')).toEqual({ n: 0 });
  });
  await Promise.all(
    Array.from({ length: 30 }, (_, i) => [
      client.run('INSERT INTO t (v) VALUES (?)', [i]),
      client.transaction(async (tx) => {
        await tx.run('UPDATE t SET v = v');
        await client.get('SELECT count(*) FROM t');
      }),
    ]).flat(),
  );
});

test('limits in time hold across the socket', async () => {
  const { writer, client } = await pair({ acquireTimeout: 1000 });
  await client.exec(TABLE);
  const lease = await writer.lease('write', { timeout: 0 });
  const late = await Promise.all([
    failure(client.run("INSERT INTO t (v) VALUES ('late')")),
    failure(client.transaction((tx) => tx.run("INSERT INTO t (v) VALUES ('late')"))),
    failure(client.lease('write', { acquireTimeout: 50 })),
  ]);
  expect(late.map(({ code }) => code)).toEqual(['POOL_TIMEOUT', 'POOL_TIMEOUT', 'POOL_TIMEOUT']);
  await lease.release();
  const patient = { acquireTimeout: 60_000 };
  const held = client.transaction(
    async (tx) => {
      await tx.run("INSERT INTO t (v) VALUES ('held')");
      await new Promise(() => {});
    },
    { timeout: 300, ...patient },
  );
  expect((await failure(held)).message).toContain('transactionTimeout (300 ms)');
  await writer.transaction((tx) => tx.run("INSERT INTO t (v) VALUES ('held')"), patient);
  const gone = new AbortController();
  const aborted = client.transaction(
    async (tx) => {
      await tx.run("INSERT INTO t (v) VALUES ('aborted')");
      gone.abort();
      await new Promise(() => {});
    },
    { signal: gone.signal, ...patient },
  );
  expect(await outcome(aborted)).toBe('POOL_ABORTED');
  expect(await client.values('SELECT v FROM t')).toEqual([['held']]);
});

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

test('with exactlyOnce a write outlives the process that had it', async () => {
  const file = freshFile();
  const first = await member(file);
  await first.ask(`pool.exec('${TABLE}')`);
  const client = openPool(file, { writer: 'shared', readers: 1, exactlyOnce: true });
  await client.ready();
  let n = 0;
  let going = true;
  const callers = Array.from({ length: 8 }, async () => {
    while (going) {
      const v = n++;
      // With its rows, which are remembered too.
      const rows = await client.all('INSERT INTO t (v) VALUES (?) RETURNING v', [v]);
      expect(rows).toEqual([{ v }]);
    }
  });
  await until(() => n > 100);
  first.process.kill('SIGKILL');
  await until(() => client.stats().writer.role === 'writer');
  const then = n;
  await until(() => n > then + 100);
  going = false;
  await Promise.all(callers);
  expect(await client.get('SELECT count(*) AS n FROM t')).toEqual({ n });
  // What was answered is forgotten.
  await client.run('INSERT INTO t (v) VALUES (?)', ['last']);
  const [[kept]] = (await client.values('SELECT count(*) FROM poolite_ledger')) as [[number]];
  expect(kept).toBeLessThan(20);
});

test('with exactlyOnce, a first write that SQLite undoes with its transaction leaves the second alone', async () => {
  const file = freshFile();
  const pool = openPool(file, { writer: 'shared', readers: 1, exactlyOnce: true });
  await pool.exec('CREATE TABLE u (v PRIMARY KEY); INSERT INTO u VALUES (1)');
  const undone = pool.run('INSERT OR ROLLBACK INTO u VALUES (1)');
  expect(await outcome(undone)).toBe('SQLITE_CONSTRAINT_PRIMARYKEY');
  expect(await outcome(pool.run('INSERT INTO u VALUES (2)'))).toBe('resolved');
  expect(await pool.values('SELECT v FROM u')).toEqual([[1], [2]]);
});

test.each([
  ['integers', { integers: 'bigint' }],
  ['foreignKeys', { foreignKeys: false }],
] as const)('processes must agree on %s, and are told so', async (name, options) => {
  const { file } = await pair();
  const other = openPool(file, { writer: 'shared', ...options });
  const error = await failure(other.ready());
  expect(error).toMatchObject({ code: 'POOL_OPTIONS' });
  expect(error.message).toContain(`option '${name}'`);
  expect(await outcome(other.run('SELECT 1'))).toBe('POOL_OPTIONS');
});

test.each([
  [':memory:', {}, 'contradicts a database in memory'],
  ['file:app.db', {}, 'not a URI'],
  ['app.db', { readonly: true }, "contradicts 'readonly'"],
  ['app.db', { writer: 'mine' }, "'own', 'shared' or { socketPath }"],
  ['app.db', { writer: {} }, "'own', 'shared' or { socketPath }"],
  ['app.db', { writer: { socketPath: 5 } }, "option 'writer.socketPath'"],
])('%s with %o is refused', (file, options, message) => {
  expect(() => createPool(file, { writer: 'shared', ...options } as never)).toThrow(message);
});

test('a folder that is missing is told as ever', async () => {
  const file = join(freshFolder(), 'missing', 'app.db');
  const error = await failure(openPool(file, { writer: 'shared' }).ready());
  expect(error.code).toBe('SQLITE_CANTOPEN');
  expect(error.message).toContain('create it first');
});

test.runIf(process.platform !== 'win32')('a folder that others may enter is refused', async () => {
  const file = freshFile();
  mkdirSync(`${file}-writer`);
  chmodSync(`${file}-writer`, 0o755);
  const error = await failure(openPool(file, { writer: 'shared' }).ready());
  expect(error.message).toContain('others may enter the folder');
});

test.runIf(process.platform !== 'win32')(
  'links and long paths lead to the same writer',
  async () => {
    const folder = join(freshFolder(), 'a'.repeat(100), 'b'.repeat(100));
    mkdirSync(folder, { recursive: true });
    const { file } = await pair({}, join(folder, 'app.db'));
    const link = join(freshFolder(), 'link.db');
    symlinkSync(file, link);
    const linked = openPool(link, { writer: 'shared', readers: 3 });
    await linked.ready();
    expect(linked.stats().writer.role).toBe('client');
    await linked.exec(TABLE);
  },
);

test.runIf(process.platform !== 'win32')(
  'a socket that was left behind is in nobody’s way',
  async () => {
    const file = freshFile();
    const first = await member(file);
    first.process.kill('SIGKILL');
    await first.end();
    expect(existsSync(`${file}-writer/socket`)).toBe(true);
    const { client } = await pair({}, file);
    await client.exec(TABLE);
  },
);

test('other programs may write too: their locks are waited for', async () => {
  const { file, client } = await pair();
  await client.exec(TABLE);
  const other = new Database(file);
  other.exec("BEGIN IMMEDIATE; INSERT INTO t (v) VALUES ('other')");
  const mine = client.run("INSERT INTO t (v) VALUES ('mine')");
  await until(() => client.stats().writes.queued === 0);
  other.exec('COMMIT');
  other.close();
  await mine;
  expect(await client.get('SELECT count(*) AS n FROM t')).toEqual({ n: 2 });
});
