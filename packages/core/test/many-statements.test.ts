import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createPool } from '@poolite/core';
import { expect, it } from 'vitest';

it('runs a read at once whose text differs from a quick one in its numbers alone', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'poolite-'));
  const pool = createPool(join(folder, 'numbers.db'));
  try {
    await pool.exec('CREATE TABLE item (id INTEGER PRIMARY KEY, name TEXT)');
    await pool.runMany(
      'INSERT INTO item (id, name) VALUES (?, ?)',
      Array.from({ length: 300 }, (_, id) => [id, `name ${id}`]),
    );
    for (let id = 0; id < 300; id++) {
      const row = await pool.get(`SELECT name FROM item WHERE id = ${id}`);
      expect(row).toEqual({ name: `name ${id}` });
    }
    // Most of them, however busy the machine: one that took long is followed by some on a thread.
    expect(pool.stats().reads.inline).toBeGreaterThan(0);
  } finally {
    await pool.close();
    rmSync(folder, { recursive: true, force: true });
  }
});

it('forgets texts and column names that were not used for long, and answers rightly all along', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'poolite-'));
  const pool = createPool(join(folder, 'many.db'), { readers: 2 });
  try {
    await pool.exec('CREATE TABLE item (id INTEGER PRIMARY KEY, name TEXT)');
    const kept = 'SELECT 7 AS kept';
    for (let round = 0; round < 40; round++) {
      const names = Array.from({ length: 100 }, (_, i) => `c${round * 100 + i}`);
      const rows = await Promise.all(names.map((name) => pool.get(`SELECT 1 AS ${name}`)));
      expect(rows).toEqual(names.map((name) => ({ [name]: 1 })));
      expect(await pool.get(kept)).toEqual({ kept: 7 });
      const written = names.map((name) =>
        pool.all(`INSERT INTO item (name) VALUES ('${name}') RETURNING name AS ${name}`),
      );
      expect(await Promise.all(written)).toEqual(names.map((name) => [{ [name]: name }]));
    }
    expect(await pool.get('SELECT count(*) AS n FROM item')).toEqual({ n: 4000 });
    expect(pool.stats().statements).toBeLessThanOrEqual(1000);
  } finally {
    await pool.close();
    rmSync(folder, { recursive: true, force: true });
  }
});
