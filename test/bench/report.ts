import { readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { drawPlots } from './peers/plots.ts';
import { read } from './results.ts';
import { tableOf } from './table.ts';

/** Writes table.md and the plots beside a folder's results.json. */
export async function report(folder: string): Promise<void> {
  const results = read(join(folder, 'results.json'));
  writeFileSync(join(folder, 'table.md'), tableOf(results));
  for (const name of readdirSync(folder)) if (name.endsWith('.svg')) rmSync(join(folder, name));
  for (const { name, svg } of await drawPlots(results)) writeFileSync(join(folder, name), svg);
}
