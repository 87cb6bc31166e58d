import { createPool, type PoolError } from '@poolite/core';
import { expect, test } from 'vitest';
import { checkStopped, ENDLESS_INSERT, endless, hooked } from '../support/endless.ts';
import { failure, outcome } from '../support/folder.ts';
import { member } from './member.ts';
import { pair, sharedPair, until } from './pair.ts';

const TABLE = 'CREATE TABLE t (n INTEGER)';

const freshPair = sharedPair();

hooked('what would take a minute in the process that writes is stopped from another', () => {
  // Both ways come to the same message to that process.
  for (const [i, [name, call]] of Object.entries(endless).entries()) {
    const way = i % 2 === 0 ? 'signal' : 'timeout';
    test(`${name}, by its ${way}`, async () => {
      const { client, writer } = await freshPair(TABLE);
      await checkStopped(way, call, client, writer);
    });
  }
});

hooked('a process that writes for others', () => {
  test('stops the transaction of one that is killed', async () => {
    const { file, writer } = await freshPair(TABLE);
    const other = await member(file);
    const insert = JSON.stringify(ENDLESS_INSERT);
    const { count } = writer.stats().transactions;
    other.process.send(`pool.transaction((tx) => tx.run(${insert}))`);
    await until(() => writer.stats().transactions.count === count + 1);
    await other.end();
    await writer.run('INSERT INTO t VALUES (1)');
    expect(await writer.values('SELECT n FROM t')).toEqual([[1]]);
  });

  test('leaves the rest of a group as it is', async () => {
    const { writer, client } = await freshPair(TABLE);
    const controller = new AbortController();
    const writes = [1, 2, 3].map((n) => client.run('INSERT INTO t VALUES (?)', [n]));
    const stopped = outcome(client.run(ENDLESS_INSERT, [], { signal: controller.signal }));
    const behind = [4, 5].map((n) => client.run('INSERT INTO t VALUES (?)', [n]));
    const others = [6, 7].map((n) => writer.run('INSERT INTO t VALUES (?)', [n]));
    setTimeout(() => controller.abort(), 60);
    expect(await stopped).toBe('POOL_ABORTED');
    await Promise.all([...writes, ...behind, ...others]);
    const rows = await writer.values('SELECT n FROM t ORDER BY n');
    expect(rows.flat()).toEqual([1, 2, 3, 4, 5, 6, 7]);
  });
});

hooked('a write that another process may have done before', () => {
  test('is of unknown outcome when it is given up', async () => {
    const { file, client: unused, writer } = await pair();
    await writer.exec(TABLE);
    await unused.close();
    await writer.close();
    const other = await member(file, { exactlyOnce: true });
    const client = createPool(file, { writer: 'shared', readers: 1, exactlyOnce: true });
    await client.ready();
    const { signal, abort } = controlled();
    const failed = failure(client.run(ENDLESS_INSERT, [], { signal }));
    await until(() => client.stats().writes.queued === 0);
    await other.end();
    // It is sent again, to this very process now.
    await until(() => client.stats().writer.role === 'writer');
    abort();
    const error = (await failed) as PoolError;
    expect(error.code).toBe('POOL_OUTCOME_UNKNOWN');
    expect((error.cause as PoolError).code).toBe('POOL_ABORTED');
    expect(await client.get('SELECT count(*) AS n FROM t')).toEqual({ n: 0 });
    await client.close();
  });
});

function controlled() {
  const controller = new AbortController();
  return { signal: controller.signal, abort: () => controller.abort() };
}
