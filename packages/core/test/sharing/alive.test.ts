import { once } from 'node:events';
import { startWriterServer } from '@poolite/core';
import { expect, test } from 'vitest';
import { Child } from '../support/child.ts';
import { freshFile } from '../support/folder.ts';
import { pair, until } from './pair.ts';

/** What keeps it alive is what it waits for, and nothing else: its channel is closed before it writes. */
const WRITER = `
  import { once } from 'node:events';
  import { createPool } from '@poolite/core';
  const pool = createPool(process.argv[1], { writer: 'shared', readers: 1 });
  await pool.ready();
  process.send('ready');
  const [way] = await once(process, 'message');
  process.disconnect();
  const insert = 'INSERT INTO t VALUES (1)';
  if (way === 'write') await pool.run(insert);
  else await pool.transaction((tx) => tx.run(insert));
  process.exitCode = 7;
  await pool.close();
`;

test.each(['write', 'transaction'])(
  'a process lives until its %s is done, also while the one that writes is ending',
  async (way) => {
    const { file, writer, client } = await pair();
    await client.exec('CREATE TABLE t (n)');
    const other = new Child(WRITER, [file]);
    expect(await other.message()).toBe('ready');
    const exited = once(other.process, 'exit');
    let finish = () => {};
    const held = new Promise<void>((resolve) => {
      finish = resolve;
    });
    let closed: Promise<void> | undefined;
    const holding = client.transaction(async (tx) => {
      await tx.run('INSERT INTO t VALUES (0)');
      // The writer waits for this transaction, and lets nobody begin another.
      closed = writer.close({ timeout: 60_000 });
      await held;
    });
    await until(() => closed !== undefined && writer.stats().state === 'closing');
    // Its way to the writer has been idle for long enough to be let go.
    await new Promise((resolve) => setTimeout(resolve, 200));
    other.process.send(way);
    await once(other.process, 'disconnect');
    await new Promise((resolve) => setTimeout(resolve, 200));
    finish();
    await holding;
    await closed;
    expect(await exited).toEqual([7, null]);
    expect(await client.values('SELECT n FROM t ORDER BY n')).toEqual([[0], [1]]);
  },
);

/** Closes its pool while it reads; goes on when it is told to. */
const CLOSER = `
  import { once } from 'node:events';
  import { createPool } from '@poolite/core';
  const [file, socketPath] = process.argv.slice(1);
  const pool = createPool(file, { writer: { socketPath }, readers: 1 });
  await pool.ready();
  const lost = new Promise((resolve) => pool.on('writer', ({ role }) => role === 'seeking' && resolve()));
  let closed;
  await pool.snapshot(async (tx) => {
    await tx.get('SELECT 1');
    closed = pool.close({ timeout: 60_000 });
    process.send('closing');
    await lost;
  });
  await closed;
  process.exitCode = 7;
`;

test('a process ends that closes its pool while nobody writes', async () => {
  const file = freshFile();
  const server = await startWriterServer(file);
  const other = new Child(CLOSER, [file, server.socketPath]);
  const exited = once(other.process, 'exit');
  expect(await other.message()).toBe('closing');
  await server.stop();
  expect(await exited).toEqual([7, null]);
});
