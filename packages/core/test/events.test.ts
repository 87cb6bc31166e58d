import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { createPool, type Pool, type PoolOptions } from '@poolite/core';
import Database from 'better-sqlite3';
import { expect, onTestFinished, test } from 'vitest';
import { runScript } from './support/child.ts';
import { freshFile, openPool, outcome } from './support/folder.ts';
import { refuseUnhandled, turn } from './support/observer.ts';

refuseUnhandled();

const INSERT = 'INSERT INTO t (a) VALUES (?)';

async function open(file = freshFile(), options: PoolOptions = {}): Promise<Pool> {
  const pool = openPool(file, options);
  await pool.exec('CREATE TABLE IF NOT EXISTS t (a INTEGER PRIMARY KEY)');
  return pool;
}

/** What a channel says of this pool's file, from now on. */
function listen(channel: string, file: string): Record<string, unknown>[] {
  const messages: Record<string, unknown>[] = [];
  const take = (message: unknown) => {
    const told = message as Record<string, unknown>;
    if (told.file === file || told['db.namespace'] === file) messages.push(told);
  };
  subscribe(channel, take);
  onTestFinished(() => {
    unsubscribe(channel, take);
  });
  return messages;
}

test('ready and close are told once each, to every listener', async () => {
  const pool = createPool(freshFile());
  const told: string[] = [];
  for (const name of ['first', 'second']) {
    pool.on('ready', () => told.push(`${name} ready`));
    pool.on('close', () => told.push(`${name} close`));
  }
  await pool.ready();
  await pool.get('SELECT 1');
  await turn();
  expect(told).toEqual(['first ready', 'second ready']);
  await pool.close();
  await pool.close();
  expect(told).toEqual(['first ready', 'second ready', 'first close', 'second close']);
});

test('off takes a listener away, and no other', async () => {
  const pool = await open();
  const told: string[] = [];
  const gone = () => told.push('gone');
  pool.on('close', gone);
  pool.on('close', () => told.push('kept'));
  pool.off('close', gone);
  await pool.close();
  expect(told).toEqual(['kept']);
});

test('two pools that share the threads have listeners of their own', async () => {
  const file = freshFile();
  const first = await open(file);
  await first.ready();
  const second = openPool(file);
  const told: string[] = [];
  second.on('ready', () => told.push('second is ready'));
  await turn();
  expect(told.splice(0)).toEqual(['second is ready']);
  first.on('close', () => told.push('first'));
  second.on('close', () => told.push('second'));
  await first.close();
  expect(told).toEqual(['first']);
  expect(await second.run(INSERT, [1])).toMatchObject({ changes: 1 });
  await second.close();
  expect(told).toEqual(['first', 'second']);
});

test('a listener that throws is reported as uncaught, and nothing else is hurt', async () => {
  const { code, stdout, stderr } = await runScript(
    `
    import { createPool } from '@poolite/core';
    import Database from 'better-sqlite3';
    process.on('uncaughtException', (error) => console.log('uncaught', error.message));
    const [file] = process.argv.slice(1);
    const pool = createPool(file, { transactionTimeout: 50, retry: { attempts: 3 } });
    let others = 0;
    for (const event of ['ready', 'busy', 'leak', 'close']) {
      pool.on(event, () => { throw new Error('of ' + event); });
      pool.on(event, () => { others++; });
    }
    await pool.exec('CREATE TABLE t (a)');
    const other = new Database(file);
    other.exec('BEGIN IMMEDIATE');
    await pool.run('INSERT INTO t VALUES (1)').catch((error) => console.log('busy', error.code));
    other.exec('COMMIT');
    await pool.run('INSERT INTO t VALUES (1)');
    // An idle transaction keeps no process alive.
    const alive = setInterval(() => {}, 1000);
    const lost = await pool.transaction(async (tx) => {
      await tx.run('INSERT INTO t VALUES (2)');
      await new Promise((resolve) => pool.on('leak', resolve));
    }).then(() => 'committed', (error) => error.code);
    clearInterval(alive);
    console.log('leak', lost);
    console.log('rows', (await pool.get('SELECT count(*) AS n FROM t')).n);
    await pool.close();
    console.log('closed', others);
  `,
    { args: [freshFile()] },
  );
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  expect(stdout.split('\n').sort()).toEqual(
    [
      ...['', 'uncaught of ready', 'uncaught of busy', 'uncaught of leak', 'uncaught of close'],
      ...['busy SQLITE_BUSY', 'leak POOL_TIMEOUT', 'rows 1', 'closed 4'],
    ].sort(),
  );
});

test('poolite:group tells of every group that was committed', async () => {
  const pool = await open();
  const messages = listen('poolite:group', pool.file);
  await Promise.all(Array.from({ length: 100 }, (_, a) => pool.run(INSERT, [a])));
  let writes = 0;
  for (const message of messages) {
    expect(message).toEqual({
      file: pool.file,
      writes: expect.any(Number),
      microseconds: expect.any(Number),
    });
    writes += message.writes as number;
  }
  expect(writes).toBe(100);
});

test('poolite:busy and the event tell of the same retries', async () => {
  const pool = await open(freshFile(), { retry: { attempts: 5 } });
  const messages = listen('poolite:busy', pool.file);
  let retries = 0;
  pool.on('busy', (event) => {
    retries += event.retries;
  });
  const other = new Database(pool.file);
  other.exec('BEGIN IMMEDIATE');
  expect(await outcome(pool.run(INSERT, [1]))).toBe('SQLITE_BUSY');
  other.exec('COMMIT');
  other.close();
  expect(retries).toBe(5);
  expect(messages.reduce((sum, message) => sum + (message.retries as number), 0)).toBe(5);
});

test('poolite:statement tells of statements of every route, and of those that fail', async () => {
  const pool = await open();
  const messages = listen('poolite:statement', pool.file);
  await pool.run(INSERT, [1]);
  await pool.all('SELECT a FROM t');
  expect(await outcome(pool.run(INSERT, [1]))).toBe('SQLITE_CONSTRAINT_PRIMARYKEY');
  const common = { 'db.system.name': 'sqlite', 'db.namespace': pool.file };
  expect(messages).toEqual([
    {
      ...common,
      'db.query.text': INSERT,
      'db.operation.name': 'INSERT',
      'db.response.returned_rows': undefined,
      'error.type': undefined,
      duration: expect.any(Number),
      route: 'writer',
    },
    expect.objectContaining({
      ...{ ...common, 'db.query.text': 'SELECT a FROM t', 'db.operation.name': 'SELECT' },
      ...{ 'db.response.returned_rows': 1, 'error.type': undefined },
    }),
    expect.objectContaining({ 'error.type': 'SQLITE_CONSTRAINT_PRIMARYKEY', route: 'writer' }),
  ]);
});
