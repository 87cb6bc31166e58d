import type { Pool } from '@poolite/core';
import { expect, test } from 'vitest';
import { Gate, refuseUnhandled } from './support/observer.ts';
import { sharedPool } from './support/shared-pool.ts';

refuseUnhandled();

const NOTE = 'INSERT INTO notes (who) VALUES (?)';

type Write = (pool: Pool, who: string) => Promise<unknown>;

const WRITES: Readonly<Record<string, Write>> = {
  run: (pool, who) => pool.run(NOTE, [who]),
  batch: (pool, who) => pool.batch([{ sql: NOTE, params: [who] }]),
  exec: (pool, who) => pool.exec(`INSERT INTO notes (who) VALUES ('${who}')`),
  runMany: (pool, who) => pool.runMany(NOTE, [[who]]),
};

const freshPool = sharedPool();
const open = () => freshPool('CREATE TABLE notes (at INTEGER PRIMARY KEY, who)');

/** Issues writes of these kinds at once, none awaited before the next; gives the order they had. */
async function orderOf(pool: Pool, kinds: readonly string[]): Promise<unknown[]> {
  await Promise.all(kinds.map((kind, i) => (WRITES[kind] as Write)(pool, `${i} ${kind}`)));
  return (await pool.values('SELECT who FROM notes ORDER BY at')).map(([who]) => who);
}

const one = ['run', 'batch', 'exec', 'runMany'];
const orders = one.flatMap((first) => one.map((second) => [first, second, first, 'exec', second]));

test.each(orders)(
  'writes that were not awaited keep their order: %s, %s, %s, %s, %s',
  async (...kinds) => {
    const pool = await open();
    expect(await orderOf(pool, kinds)).toEqual(kinds.map((kind, i) => `${i} ${kind}`));
  },
);

test('one-shot writes go between transactions that wait, but not before a script issued earlier', async () => {
  const pool = await open();
  const gate = new Gate();
  const held = pool.transaction(async (tx) => {
    await tx.run(NOTE, ['held']);
    await gate.opened;
  });
  const behind = [
    pool.transaction((tx) => tx.run(NOTE, ['first'])),
    pool.transaction((tx) => tx.run(NOTE, ['second'])),
    pool.run(NOTE, ['one-shot']),
    pool.exec(`INSERT INTO notes (who) VALUES ('script')`),
    pool.run(NOTE, ['after the script']),
  ];
  gate.open();
  await Promise.all([held, ...behind]);
  const order = (await pool.values('SELECT who FROM notes ORDER BY at')).map(([who]) => who);
  expect(order.indexOf('one-shot')).toBeLessThan(order.indexOf('script'));
  expect(order.indexOf('script')).toBeLessThan(order.indexOf('after the script'));
  expect(new Set(order).size).toBe(6);
});
