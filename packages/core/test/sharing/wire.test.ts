import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import { realpathSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import type { Pool } from '@poolite/core';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { FrameReader, frame } from '../../src/sharing/frames.js';
import { WIRE } from '../../src/sharing/messages.js';
import { pair, sharedPair } from './pair.ts';

const seed = Number(process.env.WIRE_SEED ?? randomInt(2 ** 31));
console.log(`the seed of the wire's tests is ${seed}`);

const hello = (file: string) => ({
  poolite: 'hello',
  wire: WIRE,
  pid: process.pid,
  file: realpathSync(file),
  full: false,
  terms: {
    foreignKeys: true,
    integers: 'number',
    driver: process.env.TEST_DRIVER ?? 'better-sqlite3',
    pragmas: [],
    setup: null,
  },
});

async function connected(file: string): Promise<Socket> {
  const socket = connect(`${realpathSync(file)}-writer/socket`);
  socket.on('error', () => {}); // Hung up on while it writes: 'close' follows.
  await once(socket, 'connect');
  return socket;
}

/** The next value that comes over a socket; undefined where it is closed. */
async function answer(socket: Socket): Promise<unknown> {
  const reader = new FrameReader();
  reader.longest = 2 ** 30;
  for await (const chunk of socket.iterator({ destroyOnReturn: false })) {
    reader.add(chunk as Buffer);
    const next = reader.next();
    if (next !== undefined) return next.value;
  }
  return undefined;
}

async function welcomed(file: string): Promise<Socket> {
  const socket = await connected(file);
  socket.write(frame(hello(file)));
  expect(await answer(socket)).toMatchObject({ poolite: 'welcome' });
  return socket;
}

/** Both pools go on as if nothing had been. */
async function work({ writer, client }: { writer: Pool; client: Pool }): Promise<void> {
  for (const pool of [writer, client]) {
    await pool.run('INSERT INTO t (n) VALUES (?)', [1]);
    await pool.transaction(async (tx) => {
      await tx.run('UPDATE t SET n = n + 1');
    });
  }
}

const TABLE = 'CREATE TABLE t (id INTEGER PRIMARY KEY, n)';
const freshPair = sharedPair();
const tried = () => freshPair(TABLE);

const header = (length: number) => {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(length);
  return bytes;
};

test.each<[string, (file: string) => Buffer]>([
  ['bytes of another protocol', () => Buffer.from('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n')],
  ['a frame that is too long for a greeting', () => header(1024 * 1024)],
  ['a frame of the largest length', () => header(0xffff_ffff)],
  ['a value that is no greeting', () => frame([1, 2, 3])],
  ['an empty frame', () => header(0)],
  ['a greeting without a version', (file) => frame({ ...hello(file), wire: 'one' })],
])('closes a connection that begins with %s, and nothing else', async (_what, bytes) => {
  const two = await tried();
  const socket = await connected(two.file);
  socket.write(bytes(two.file));
  expect(await answer(socket)).toBeUndefined();
  await work(two);
});

test.each<[string, object, string]>([
  ['another version', { wire: WIRE + 1 }, 'run the same version of @poolite/core'],
  ['another file', { file: '/other.db' }, 'writes another database there'],
  ['other options', { terms: { integers: 'bigint' } }, "option 'foreignKeys' is undefined here"],
])('tells who comes with %s why it is refused', async (_what, other, message) => {
  const two = await tried();
  const socket = await connected(two.file);
  socket.write(frame({ ...hello(two.file), ...other }));
  const refused = (await answer(socket)) as { poolite: string; message: string };
  expect(refused.poolite).toBe('refused');
  expect(refused.message).toContain(message);
  await work(two);
});

const nonsense: [string, unknown][] = [
  ['no list', { type: 'ping' }],
  ['no command', [1]],
  ['an unknown command', [{ type: 'drop table' }]],
  ['a command of a thread', [{ type: 'open' }]],
  ['a group of nothing', [{ type: 'group', early: 0, group: 1, words: [0] }]],
  [
    'a group of an unknown statement',
    [{ type: 'group', early: 0, group: 1, words: [1, 77, 4, 0] }],
  ],
  [
    'a group that ends a transaction',
    define('ROLLBACK', { type: 'group', early: 0, group: 1, words: [1, 5, 4, 0] }),
  ],
  [
    'a group that lies about its length',
    define('SELECT 1', { type: 'group', early: 0, group: 1, words: [900, 5, 4, 0] }),
  ],
  [
    'values that are none',
    define('SELECT ?', { type: 'group', early: 0, group: 1, words: [1, 5, 4, 1, [1]] }),
  ],
  [
    'too few values',
    define('SELECT ?', { type: 'group', early: 0, group: 1, words: [1, 5, 4, 9, 1] }),
  ],
  [
    'a method that is none',
    define('SELECT 1', { type: 'group', early: 0, group: 1, words: [1, 5, 99, 0] }),
  ],
  [
    'words of a batch without statements',
    [{ type: 'group', early: 0, group: 1, words: [1, -1, 0] }],
  ],
  ['two turns', [turn(1), turn(2)]],
  ['a turn of no kind', [{ type: 'turn', turn: 1, kind: 'king', limit: 0 }]],
  ['a BEGIN of no kind', [turn(1), { type: 'begin', behavior: 'later', readonly: false }]],
  [
    'a bulk of a statement that reads',
    define('SELECT 1', turn(1), { type: 'bulk', task: 1, statement: 5 }),
  ],
  [
    'rows that are none',
    [turn(1), { type: 'rows', columns: [[1, 2]], names: undefined, count: 1 }],
  ],
  [
    'a group without a number',
    define('SELECT 1', { type: 'group', early: 0, words: [1, 5, 4, 0] }),
  ],
  ['a stop of nothing', [{ type: 'stop', ticket: 'all' }]],
  ['a wish for too many rowids', [{ type: 'feed', task: 1, on: true, rowids: 1e9 }]],
  ['a stream that is not open', [{ type: 'fetch', task: 1, session: 0, cursor: 9, rows: 10 }]],
];

function define(sql: string, ...behind: object[]): object[] {
  return [{ type: 'define', ids: [5], texts: [sql] }, ...behind];
}

function turn(number: number): object {
  return { type: 'turn', turn: number, kind: 'transaction', limit: 1000 };
}

test.each(nonsense)(
  'closes a connection that sends %s, and nothing else',
  async (_what, message) => {
    const two = await tried();
    const socket = await welcomed(two.file);
    const closed = once(socket, 'close');
    socket.resume();
    socket.write(frame(message));
    await closed;
    await work(two);
  },
);

test('a connection that ends in the middle of anything takes nothing along', async () => {
  const two = await tried();
  const whole = frame(
    define(
      'INSERT INTO t (id) VALUES (9999)',
      turn(1),
      {
        ...{ type: 'begin', behavior: 'immediate', readonly: false },
      },
      { type: 'execute', task: 1, session: 0, words: [5, 4, 0] },
    ),
  );
  for (const length of [1, 3, 4, 5, whole.length >> 1, whole.length - 1, whole.length]) {
    const socket = await welcomed(two.file);
    const closed = once(socket, 'close');
    socket.write(whole.subarray(0, length), () => socket.destroy());
    await closed;
    await work(two);
  }
  expect(await two.client.get('SELECT count(*) AS n FROM t WHERE id = 9999')).toEqual({ n: 0 });
});

test('whatever is sent, the connection answers or ends, and the pools go on', {
  timeout: 120_000,
}, async () => {
  const two = await pair();
  await two.writer.exec(TABLE);
  const small = fc.oneof(
    fc.integer({ min: -3, max: 9 }),
    fc.constantFrom(null, 'x', 1.5, 2n ** 65n),
  );
  const field = fc.oneof(
    small,
    fc.array(small, { maxLength: 6 }),
    fc.boolean(),
    fc.string(),
    fc.constant({}),
  );
  const type = fc.constantFrom(
    ...[
      'define',
      'forget',
      'group',
      'turn',
      'withdraw',
      'leave',
      'begin',
      'end',
      'execute',
      'exec',
    ],
    ...[
      'cursor',
      'fetch',
      'drop',
      'bulk',
      'rows',
      'bulk-end',
      'checkpoint',
      'ping',
      'rest',
      'close',
    ],
  );
  const likely = {
    ids: fc.constant([5]),
    texts: fc.constantFrom(['SELECT 1'], ['INSERT INTO t (n) VALUES (?)'], ['BEGIN'], ['nonsense']),
    words: fc.oneof(fc.constantFrom([1, 5, 4, 0], [5, 4, 0], [5, 0, 1, 7], [1, 5, 4, 1, 7]), field),
    turn: fc.constantFrom(1, 2),
    kind: fc.constantFrom('transaction', 'lease', 'script', 'bulk'),
    limit: fc.constantFrom(0, 50, -1),
    behavior: fc.constantFrom('immediate', 'deferred', 'never'),
    how: fc.constantFrom('commit', 'rollback', 'neither'),
    share: fc.boolean(),
    task: fc.integer({ min: 0, max: 5 }),
    session: fc.constant(0),
    statement: fc.constant(5),
    cursor: fc.constantFrom(1, 2),
    rows: fc.constantFrom(1, 0, -1),
    script: fc.constantFrom('SELECT 1', 'BEGIN', 'ROLLBACK', 'no'),
    columns: fc.constantFrom([[1]], [[1], [2]], []),
    count: fc.constantFrom(1, 2),
    commit: fc.boolean(),
    mode: fc.constantFrom('PASSIVE', 'LATER'),
    least: fc.constant(0),
    patience: fc.constant(0),
    early: fc.constant(0),
  };
  const command = fc.tuple(type, fc.record(likely)).map(([type, rest]) => ({ type, ...rest }));
  const anything = fc
    .tuple(type, fc.dictionary(fc.constantFrom(...Object.keys(likely)), field))
    .map(([type, rest]) => ({ ...rest, type }));
  const frames = fc.array(
    fc.oneof(
      { weight: 5, arbitrary: fc.array(command, { maxLength: 8 }).map((list) => frame(list)) },
      { weight: 3, arbitrary: fc.array(anything, { maxLength: 4 }).map((list) => frame(list)) },
      { weight: 1, arbitrary: fc.uint8Array({ maxLength: 64 }).map((bytes) => Buffer.from(bytes)) },
    ),
    { maxLength: 6 },
  );
  await fc.assert(
    fc.asyncProperty(frames, fc.boolean(), async (all, inHaste) => {
      const socket = await welcomed(two.file);
      const closed = once(socket, 'close');
      socket.resume();
      for (const bytes of all) socket.write(bytes);
      if (inHaste) socket.destroy();
      else socket.end();
      await closed;
    }),
    { seed, numRuns: 60 },
  );
  // Nothing of theirs is left open: who comes now has the writer at once.
  await work(two);
  expect(await two.writer.get('PRAGMA integrity_check')).toEqual({ integrity_check: 'ok' });
  expect(two.writer.stats().transactions.waiting).toBe(0);
});

test('one that wants to know of commits, and does not read, is told in the end that it missed some', async () => {
  const two = await pair();
  await two.writer.exec(TABLE);
  const socket = await welcomed(two.file);
  const reader = new FrameReader();
  reader.longest = 2 ** 30;
  /** Reads until a message fits. */
  const told = async (fits: (message: { type: string; text?: string }) => boolean) => {
    for (;;) {
      for (let next = reader.next(); next !== undefined; next = reader.next()) {
        const found = (next.value as { type: string; text?: string }[]).find(fits);
        if (found !== undefined) return found;
      }
      const [chunk] = (await once(socket, 'data')) as [Buffer];
      reader.add(chunk);
    }
  };
  socket.write(frame([{ type: 'feed', task: 1, on: true, rowids: 100_000 }]));
  await told(({ type }) => type === 'done');
  socket.pause();
  // Each is told in some 400 kB: more than a socket holds.
  const sets = Array.from({ length: 40_000 }, (_, i) => [i]);
  for (let i = 0; i < 2; i++) await two.writer.runMany('INSERT INTO t (n) VALUES (?)', sets);
  await work(two);
  socket.resume();
  const message = await told(({ text }) => text === '[2,1,[],[]]');
  expect(message.type).toBe('changed');
});
