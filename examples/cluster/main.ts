import cluster from 'node:cluster';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { count, fill, open } from './database.ts';
import { serve } from './worker.ts';

const WORKERS = 3;
const BOOKS = 150;
const BUYERS = 200;

/** Buys at the shop, from whatever worker gets the request. */
async function buy(port: number): Promise<number> {
  const response = await fetch(`http://127.0.0.1:${port}/buy`, { method: 'POST' });
  return response.status;
}

if (cluster.isPrimary) {
  const folder = mkdtempSync(join(tmpdir(), 'poolite-cluster-'));
  const file = join(folder, 'shop.db');
  const shop = open(file);
  await fill(shop.db, BOOKS);
  // The workers write from now on; one of them takes the writer over.
  await shop.close();

  const workers = Array.from({ length: WORKERS }, () => cluster.fork({ SHOP: file }));
  const ports = await Promise.all(
    workers.map(async (worker) => (await once(worker, 'message'))[0]),
  );
  const port = ports[0] as number;
  const first = await Promise.all(Array.from({ length: BUYERS / 2 }, () => buy(port)));

  // The one that writes dies; another takes its place, and the shop goes on.
  const told = workers.map(async (worker) => {
    worker.send('role');
    const [role] = await once(worker, 'message');
    return { worker, role };
  });
  const writer = (await Promise.all(told)).find(({ role }) => role === 'writer')?.worker;
  const gone = once(writer as (typeof workers)[number], 'exit');
  writer?.process.kill('SIGKILL');
  await gone;
  const second = await Promise.all(Array.from({ length: BUYERS / 2 }, () => buy(port)));

  const statuses = [...first, ...second];
  console.log(`bought: ${statuses.filter((status) => status === 200).length}`);
  console.log(`sold out: ${statuses.filter((status) => status === 409).length}`);

  for (const worker of workers) if (!worker.isDead()) worker.process.kill('SIGTERM');
  await Promise.all(workers.map((worker) => worker.isDead() || once(worker, 'exit')));
  const after = open(file);
  const { sold, left } = await count(after.db);
  console.log(`in the books: ${sold} sold, ${left} left`);
  await after.close();
  rmSync(folder, { recursive: true, force: true });
} else {
  await serve(process.env.SHOP as string);
}
