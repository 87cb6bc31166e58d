import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';

const folder = new URL('../examples/store/', import.meta.url);

test('two processes on one log sell what there is, and agree on it', async (context) => {
  context.skip(Number.parseInt(process.versions.node, 10) < 24, 'it needs Node.js 24');
  const { scripts } = JSON.parse(readFileSync(new URL('package.json', folder), 'utf8'));
  const [, command] = (scripts.start as string).split(' && node ');
  const args = (command as string).split(' ');
  const { S3_BUCKET: _, ...env } = process.env;
  const options = { cwd: fileURLToPath(folder), timeout: 100_000, env };
  const { stdout } = await promisify(execFile)(process.execPath, args, options);
  const lines = stdout.trimEnd().split('\n');
  expect(lines.slice(0, 3)).toEqual([
    'the log: a folder',
    'sold: 40, left: 0',
    'both replicas say so: true',
  ]);
  const sales = lines.slice(3).map((line) => /^(\w+): (\d+) books, /.exec(line)?.slice(1));
  expect(sales.map((sale) => sale?.[0])).toEqual(['north', 'south']);
  expect(sales.reduce((sum, sale) => sum + Number(sale?.[1]), 0)).toBe(40);
});
