import type { ChangeMessage, Pool } from '@poolite/core';
import { expect, test } from 'vitest';
import { hooked } from '../support/endless.ts';
import { openPool } from '../support/folder.ts';
import { member } from './member.ts';
import { pair, until } from './pair.ts';

/** What a pool tells from now on. */
async function told(pool: Pool): Promise<ChangeMessage[]> {
  const messages: ChangeMessage[] = [];
  pool.on('change', (message) => messages.push(message));
  // The writer tells from the commit that follows this on.
  await pool.transaction((tx) => tx.get('SELECT 1'));
  messages.length = 0;
  return messages;
}

const TABLES = 'CREATE TABLE a (n); CREATE TABLE w (k PRIMARY KEY) WITHOUT ROWID';
const quiet = { changes: { interval: 0, rowids: 5 } };

hooked('processes that share a writer', () => {
  test('hear of the commits of all of them', async () => {
    const { writer, client } = await pair(quiet);
    await client.exec(TABLES);
    const [here, there] = [await told(writer), await told(client)];
    await client.run('INSERT INTO a VALUES (1)');
    const first = { tables: ['a'], rowids: { a: [1] } };
    expect(there).toEqual([first]);
    expect(here).toEqual([first]);
    await writer.run("INSERT INTO w VALUES ('k')");
    await client.get('SELECT 1', [], { access: 'write' });
    expect(there[1]).toEqual({ tables: ['w'], rowids: {} });
    expect(here[1]).toEqual(there[1]);
  });

  test('hear before the caller of a write does', async () => {
    const { client } = await pair(quiet);
    await client.exec(TABLES);
    const there = await told(client);
    await client.run('INSERT INTO a VALUES (1)');
    expect(there).toHaveLength(1);
  });

  test('hear nothing any more once they do not listen', async () => {
    const { writer, client } = await pair(quiet);
    await client.exec(TABLES);
    const there: ChangeMessage[] = [];
    const listener = (message: ChangeMessage) => there.push(message);
    client.on('change', listener);
    await client.run('INSERT INTO a VALUES (1)');
    const before = there.length;
    client.off('change', listener);
    const live = client.live('SELECT n FROM a');
    await live.next();
    const waiting = live.next();
    await writer.run('INSERT INTO a VALUES (2)');
    expect((await waiting).value).toEqual([{ n: 1 }, { n: 2 }]);
    expect(there).toHaveLength(before);
  });

  test('hear that something may have been missed when another takes over', async () => {
    const { file, writer, client } = await pair(quiet);
    await writer.exec(TABLES);
    await client.close();
    await writer.close();
    const other = await member(file);
    const pool = openPool(file, { ...quiet, writer: 'shared', readers: 1 });
    const there = await told(pool);
    const live = pool.live<{ n: number }>('SELECT count(*) AS n FROM a');
    expect((await live.next()).value).toEqual([{ n: 0 }]);
    await other.ask("pool.run('INSERT INTO a VALUES (1)')");
    expect((await live.next()).value).toEqual([{ n: 1 }]);
    await until(() => there.length > 0);
    there.length = 0;
    await other.end();
    await until(() => pool.stats().writer.role === 'writer');
    expect((await live.next()).value).toEqual([{ n: 1 }]);
    expect(there[0]).toEqual({ tables: [] });
    await pool.run('INSERT INTO a VALUES (2)');
    expect((await live.next()).value).toEqual([{ n: 2 }]);
    expect(there.at(-1)).toEqual({ tables: ['a'], rowids: { a: [2] } });
  });

  test('one that is killed is not told any more, and the others go on', async () => {
    const { file, writer, client } = await pair(quiet);
    await writer.exec(TABLES);
    const there = await told(client);
    const other = await member(file);
    await other.ask("(pool.on('change', () => {}), pool.run('INSERT INTO a VALUES (1)'))");
    await other.end();
    there.length = 0;
    await writer.run('INSERT INTO a VALUES (2)');
    await client.get('SELECT 1', [], { access: 'write' });
    expect(there).toEqual([{ tables: ['a'], rowids: { a: [2] } }]);
    expect(writer.stats().writer.clients).toBe(1);
  });
});
