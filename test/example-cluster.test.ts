import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';

const folder = new URL('../examples/cluster/', import.meta.url);

test('the cluster sells what there is, also when the process that writes is killed', async () => {
  const { scripts } = JSON.parse(readFileSync(new URL('package.json', folder), 'utf8'));
  const [, command] = (scripts.start as string).split(' && node ');
  const args = (command as string).split(' ');
  const options = { cwd: fileURLToPath(folder), timeout: 100_000 };
  const { stdout } = await promisify(execFile)(process.execPath, args, options);
  expect(stdout.trimEnd().split('\n')).toEqual([
    'bought: 150',
    'sold out: 50',
    'in the books: 150 sold, 0 left',
  ]);
});
