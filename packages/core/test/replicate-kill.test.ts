import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { restoreReplica } from '@poolite/core';
import Database from 'better-sqlite3';
import { describe, expect, test } from 'vitest';
import { Child } from './support/child.ts';
import { freshFolder, openPool } from './support/folder.ts';
import { caughtUp, ends, isAlive, litestream, reaches } from './support/litestream.ts';

const SYNC = 100;
/** What may be missing, in ms: Litestream looks once an interval, and sends once an interval; the
 * rest is for a machine that is busy with other things. */
const TAIL = 2 * SYNC + 1500;

/** A process that writes numbers in a row, and tells each that was acknowledged, and when. */
const WRITER = `
  import { createPool } from '@poolite/core';
  const [, file, url] = process.argv;
  const pool = createPool(file, { replicate: { url, syncInterval: ${SYNC} } });
  await pool.exec('CREATE TABLE IF NOT EXISTS row (n INTEGER PRIMARY KEY)');
  const first = (await pool.get('SELECT coalesce(max(n), 0) + 1 AS n FROM row')).n;
  while (pool.stats().replication.state !== 'running') await new Promise((r) => setTimeout(r, 20));
  process.send({ pid: pool.stats().replication.pid });
  for (let n = first; ; n++) {
    await pool.run('INSERT INTO row VALUES (?)', [n]);
    process.send({ n, at: Date.now() });
    if (n % 50 === 0) await new Promise((r) => setTimeout(r, 10));
  }
`;

interface Acknowledged {
  n: number;
  at: number;
}

class Writer {
  readonly child: Child;
  readonly acknowledged: Acknowledged[] = [];
  pid = 0;

  constructor(file: string, url: string) {
    this.child = new Child(WRITER, [file, url]);
  }

  /** Hears what it acknowledges until the last number is so many ms after the first. */
  async write(ms: number): Promise<void> {
    ({ pid: this.pid } = (await this.child.message()) as { pid: number });
    for (;;) {
      const one = (await this.child.message()) as Acknowledged;
      this.acknowledged.push(one);
      if (one.at - (this.acknowledged[0] as Acknowledged).at > ms) return;
    }
  }

  /** Kills it, and hears what it had acknowledged before. */
  async kill(): Promise<void> {
    this.child.process.kill('SIGKILL');
    await this.child.end();
    for (let one = await this.#next(); one !== undefined; one = await this.#next()) {
      this.acknowledged.push(one);
    }
  }

  #next(): Promise<Acknowledged | undefined> {
    return this.child.left() as Promise<Acknowledged | undefined>;
  }
}

function numbers(file: string): number[] {
  const db = new Database(file, { readonly: true });
  try {
    expect(db.pragma('integrity_check', { simple: true })).toBe('ok');
    return db.prepare('SELECT n FROM row ORDER BY n').pluck().all() as number[];
  } finally {
    db.close();
  }
}

function places() {
  const folder = freshFolder();
  return { file: join(folder, 'app.db'), url: join(folder, 'replica'), back: join(folder, 'b.db') };
}

/** What is there has no gaps. */
function expectPrefix(found: number[]): void {
  expect(found).toEqual(found.map((_, i) => i + 1));
}

describe.skipIf(litestream === undefined)('replication, when processes are killed', () => {
  test('has every acknowledged row but the tail, after SIGKILL to all of them', async () => {
    const { file, url, back } = places();
    const writer = new Writer(file, url);
    await writer.write(TAIL + 800);
    const killed = Date.now();
    process.kill(writer.pid, 'SIGKILL');
    await writer.kill();
    await ends(writer.pid);
    await restoreReplica(url, back);
    const found = numbers(back);
    expectPrefix(found);
    const safe = writer.acknowledged.filter(({ at }) => at < killed - TAIL);
    expect(safe.length).toBeGreaterThan(10);
    expect(found.length).toBeGreaterThanOrEqual((safe.at(-1) as Acknowledged).n);
  });

  test('leaves no Litestream behind, which first sends all that was acknowledged', async () => {
    const { file, url, back } = places();
    const writer = new Writer(file, url);
    await writer.write(300);
    expect(isAlive(writer.pid)).toBe(true);
    await writer.kill();
    await ends(writer.pid);
    await restoreReplica(url, back);
    const found = numbers(back);
    expectPrefix(found);
    expect(found.length).toBeGreaterThanOrEqual((writer.acknowledged.at(-1) as Acknowledged).n);
  });

  test('goes on where it was when another process opens the file, or a new machine restores it', async () => {
    const { file, url, back } = places();
    const first = new Writer(file, url);
    await first.write(300);
    await first.kill();
    // Its Litestream may still be at its last sync: the next waits for it.
    const second = new Writer(file, url);
    await second.write(300);
    await second.kill();
    const last = (second.acknowledged.at(-1) as Acknowledged).n;
    expect(second.acknowledged[0]?.n).toBeGreaterThan(first.acknowledged.at(-1)?.n as number);
    await ends(second.pid);
    for (const end of ['', '-wal', '-shm']) rmSync(file + end, { force: true });

    const pool = openPool(file, { replicate: { url, syncInterval: SYNC } });
    const rows = await pool.get<{ n: number }>('SELECT count(*) AS n FROM row');
    expect(rows?.n).toBeGreaterThanOrEqual(last);
    await reaches(pool, 'running');
    await pool.run('DELETE FROM row WHERE n > ?', [last]);
    await caughtUp(pool);
    await restoreReplica(url, back);
    expect(numbers(back)).toHaveLength(last);
  });
});
