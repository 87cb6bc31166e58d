import { fork } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { openStore } from './store.ts';

interface Report {
  by: string;
  sales: number;
  sold: [by: string, books: number][];
  left: number;
  committed: number;
  applied: number;
  conflicts: number;
}

const folder = mkdtempSync(join(tmpdir(), 'poolite-store-'));
const name = `example-${randomUUID()}`;
console.log(
  `the log: ${process.env.S3_BUCKET === undefined ? 'a folder' : openStore(folder, name).where}`,
);

// Two processes, as two machines would be: they have nothing in common but the log.
async function run(by: string): Promise<Report> {
  const shop = fork(fileURLToPath(new URL('shop.ts', import.meta.url)), [folder, name, by]);
  const told = once(shop, 'message');
  const ended = once(shop, 'exit').then(([code]) => {
    if (code !== 0) throw new Error(`${by} ended with ${code}`);
  });
  const [[report]] = await Promise.all([told, ended]);
  return report as Report;
}

try {
  const reports = await Promise.all(['north', 'south'].map(run));
  const [north, south] = reports as [Report, Report];
  console.log(`sold: ${north.sales + south.sales}, left: ${north.left}`);
  const agree =
    JSON.stringify(north.sold) === JSON.stringify(south.sold) && north.left === south.left;
  console.log(`both replicas say so: ${agree}`);
  for (const { by, sales, committed, applied, conflicts } of reports) {
    const log = `${committed} entries of its own, ${applied} of the other, beaten ${conflicts} times`;
    console.log(`${by}: ${sales} books, ${log}`);
  }
} finally {
  rmSync(folder, { recursive: true, force: true });
}
