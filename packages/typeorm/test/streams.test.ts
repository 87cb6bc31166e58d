import { once } from 'node:events';
import type { ReadStream } from 'node:fs';
import type { DataSource, QueryRunner } from 'typeorm';
import { describe, expect, test } from 'vitest';
import { Account, account, freshSources, NO_LIMITS, openSource, poolOf } from './support/db.ts';

const ROWS = 3000;

const freshSource = freshSources();

async function filled(opened = freshSource()): Promise<DataSource> {
  const source = await opened;
  const sets = Array.from({ length: ROWS }, (_, n) => [`name ${n}`]);
  await poolOf(source).runMany('INSERT INTO account (name) VALUES (?)', sets);
  return source;
}

async function rowsOf(stream: ReadStream): Promise<{ id: number }[]> {
  const rows: { id: number }[] = [];
  for await (const row of stream) rows.push(row as unknown as { id: number });
  return rows;
}

/** Query runners made from now on, so that a test can see whether they are released. */
function runnersOf(source: DataSource): QueryRunner[] {
  const runners: QueryRunner[] = [];
  const create = source.createQueryRunner.bind(source);
  source.createQueryRunner = (mode) => {
    const runner = create(mode);
    runners.push(runner);
    return runner;
  };
  return runners;
}

describe('stream()', () => {
  test('of a query runner gives all rows, while others write', async () => {
    const source = await filled();
    const runner = source.createQueryRunner();
    const stream = await runner.stream('SELECT id FROM account WHERE id > ? ORDER BY id', [10]);
    await source.getRepository(Account).save(account('meanwhile'));
    expect((await rowsOf(stream)).length).toBeGreaterThanOrEqual(ROWS - 10);
    await runner.release();
  });

  test('inside a transaction sees what the transaction wrote', async () => {
    const source = await filled();
    await source.transaction(async (manager) => {
      await manager.save(Account, account('inside'));
      const stream = await (manager.queryRunner as QueryRunner).stream('SELECT id FROM account');
      expect(await rowsOf(stream)).toHaveLength(ROWS + 1);
    });
  });

  const ends: [how: string, end: (stream: ReadStream) => Promise<unknown>][] = [
    ['it ends', (stream) => rowsOf(stream)],
    ['it is destroyed', (stream) => once(stream.destroy(), 'close')],
    [
      'its loop is left',
      async (stream) => {
        for await (const _ of stream) break;
      },
    ],
  ];
  test.each(ends)('of a select builder releases its runner when %s', async (_, end) => {
    const source = await filled(openSource({}, NO_LIMITS));
    const runners = runnersOf(source);
    const stream = await source.createQueryBuilder(Account, 'a').select('a.id').stream();
    expect(runners.map(({ isReleased }) => isReleased)).toEqual([false]);
    const closed = new Promise<void>((resolve) => stream.once('close', () => resolve()));
    await end(stream);
    await closed;
    expect(runners.map(({ isReleased }) => isReleased)).toEqual([true]);
    await source.destroy();
  });

  test('of a select builder releases its runner when it fails', async () => {
    const source = await filled();
    const runners = runnersOf(source);
    const stream = await source.createQueryBuilder().select('x').from('missing', 'm').stream();
    await expect(rowsOf(stream)).rejects.toThrow(/no such table: missing/);
    expect(runners.map(({ isReleased }) => isReleased)).toEqual([true]);
  });

  test('tells of its end once', async () => {
    const source = await filled();
    const runner = source.createQueryRunner();
    const told: string[] = [];
    const onEnd = () => void told.push('end');
    const onError = () => void told.push('error');
    const good = await runner.stream('SELECT 1 AS one', [], onEnd, onError);
    const closed = once(good, 'close');
    await rowsOf(good);
    await closed;
    const bad = await runner.stream('SELECT * FROM missing', [], onEnd, onError);
    await rowsOf(bad).catch(() => {});
    expect(told).toEqual(['end', 'error']);
    await runner.release();
  });
});
