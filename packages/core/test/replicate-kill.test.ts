import { join } from 'node:path';
import { restoreReplica } from '@poolite/core';
import { describe, expect, test } from 'vitest';
import { Child } from './support/child.ts';
import { freshFolder, openPool } from './support/folder.ts';
import {
  arrives,
  ends,
  isAlive,
  litestream,
  numbers,
  reaches,
  removeDatabase,
} from './support/litestream.ts';

const SYNC = 100;
/** What may be missing, in ms: Litestream looks once an interval, and sends once an interval. On a
 * machine that is busy with other things it does so when it can. */
const TAIL = 2 * SYNC + 300;

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
    // As many as Litestream can follow beside whatever else the machine does.
    if (n % 5 === 0) await new Promise((r) => setTimeout(r, 10));
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

  private constructor(file: string, url: string) {
    this.child = new Child(WRITER, [file, url]);
  }

  /** One whose Litestream runs, and of whose writes so many are acknowledged. */
  static async start(file: string, url: string, count: number): Promise<Writer> {
    const writer = new Writer(file, url);
    ({ pid: writer.pid } = (await writer.child.message()) as { pid: number });
    writer.child.process.on('message', (message) => {
      writer.acknowledged.push(message as Acknowledged);
    });
    await expect.poll(() => writer.acknowledged.length).toBeGreaterThanOrEqual(count);
    return writer;
  }

  get last(): number {
    return (this.acknowledged.at(-1) as Acknowledged).n;
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
    const writer = await Writer.start(file, url, 100);
    let seen = 0;
    await arrives(url, back, () => {
      const looked = Date.now();
      seen = numbers(back).length;
      const safe = writer.acknowledged.filter(({ at }) => at < looked - TAIL);
      expect(safe.length).toBeGreaterThan(10);
      expect(seen).toBeGreaterThanOrEqual((safe.at(-1) as Acknowledged).n);
    });
    process.kill(writer.pid, 'SIGKILL');
    await writer.child.end();
    await ends(writer.pid);
    removeDatabase(back);
    await restoreReplica(url, back);
    const found = numbers(back);
    expectPrefix(found);
    expect(found.length).toBeGreaterThanOrEqual(seen);
  });

  test('leaves no Litestream behind, which first sends all that was acknowledged', async () => {
    const { file, url, back } = places();
    const writer = await Writer.start(file, url, 100);
    expect(isAlive(writer.pid)).toBe(true);
    await writer.child.end();
    await ends(writer.pid);
    await restoreReplica(url, back);
    const found = numbers(back);
    expectPrefix(found);
    expect(found.length).toBeGreaterThanOrEqual(writer.last);
  });

  test('goes on where it was when another process opens the file, or a new machine restores it', async () => {
    const { file, url, back } = places();
    const first = await Writer.start(file, url, 100);
    await first.child.end();
    // Its Litestream may still be at its last sync: the next waits for it.
    const second = await Writer.start(file, url, 100);
    await second.child.end();
    const { last } = second;
    expect(second.acknowledged[0]?.n).toBeGreaterThan(first.last);
    await ends(second.pid);
    removeDatabase(file);

    const pool = openPool(file, { replicate: { url, syncInterval: SYNC } });
    const rows = await pool.get<{ n: number }>('SELECT count(*) AS n FROM row');
    expect(rows?.n).toBeGreaterThanOrEqual(last);
    await reaches(pool, 'running');
    await pool.run('DELETE FROM row WHERE n > ?', [last]);
    await arrives(url, back, () => expect(numbers(back)).toHaveLength(last));
  });
});
