import Database from 'better-sqlite3';
import { expect, test } from 'vitest';
import { Child } from './support/child.ts';
import { freshFile } from './support/folder.ts';

/** Writes from several callers for a while, and tells how that went. */
const program = `
  import { createPool } from '@poolite/core';
  const [file, name, callers, how] = process.argv.slice(1);
  const pool = createPool(file, { readers: 1, busyTimeout: 60_000, acquireTimeout: 60_000 });
  await pool.ready();
  process.send('ready');
  await new Promise((resolve) => process.once('message', resolve));
  let over = false;
  process.on('message', () => { over = true; });
  const told = { count: 0, longest: 0, errors: [] };
  const sql = 'INSERT INTO t (who) VALUES (?)';
  const write = {
    writes: () => pool.run(sql, [name]),
    transactions: () => pool.transaction(async (tx) => {
      await tx.get('SELECT max(id) FROM t');
      await tx.run(sql, [name]);
    }),
  }[how];
  const caller = async () => {
    while (!over) {
      const started = performance.now();
      try {
        await write();
        told.count++;
      } catch (error) {
        told.errors.push(error.code);
      }
      told.longest = Math.max(told.longest, performance.now() - started);
    }
  };
  const reports = setInterval(() => process.send(told.count), 50);
  await Promise.all(Array.from({ length: Number(callers) }, caller));
  clearInterval(reports);
  told.retries = pool.stats().busyRetries;
  await pool.close();
  process.send(told);
  process.disconnect();
`;

interface Told {
  count: number;
  longest: number;
  errors: string[];
  retries: number;
}

for (const how of ['writes', 'transactions']) {
  for (const callers of [1, 16]) {
    test(`two processes writing at once both get on: ${how}, ${callers} callers each`, async () => {
      const file = freshFile();
      const db = new Database(file);
      db.exec('PRAGMA journal_mode = WAL; CREATE TABLE t (id INTEGER PRIMARY KEY, who TEXT)');
      db.close();
      const children = ['a', 'b'].map(
        (name) => new Child(program, [file, name, String(callers), how]),
      );
      for (const child of children) expect(await child.message()).toBe('ready');
      for (const child of children) child.process.send('go');
      // Each its share: whoever is starved beside the other never has it.
      const counts = [0, 0];
      const enough = () => {
        const [one, two] = counts as [number, number];
        return Math.min(one, two) >= Math.max(200, (one + two) / 20);
      };
      const hear = async (child: Child, i: number) => {
        for (;;) {
          const message = await child.message();
          if (typeof message !== 'number') return message as Told;
          counts[i] = message;
          if (enough())
            for (const each of children) if (each.process.connected) each.process.send('over');
        }
      };
      const [a, b] = (await Promise.all(children.map(hear))) as [Told, Told];
      console.log(
        `${how}, ${callers} callers: ${a.count} and ${b.count} rows, longest ` +
          `${a.longest.toFixed(0)} and ${b.longest.toFixed(0)} ms, ${a.retries + b.retries} retries`,
      );
      expect([...a.errors, ...b.errors]).toEqual([]);
      const after = new Database(file, { readonly: true });
      const rows = after
        .prepare('SELECT who, count(*) FROM t GROUP BY who ORDER BY who')
        .raw()
        .all();
      after.close();
      expect(rows).toEqual([
        ['a', a.count],
        ['b', b.count],
      ]);
    });
  }
}
