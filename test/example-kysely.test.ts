import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';

const folder = new URL('../examples/kysely/', import.meta.url);

/** What `pnpm start` runs once the packages are built, as they are here. */
function startCommand(): string[] {
  const { scripts } = JSON.parse(readFileSync(new URL('package.json', folder), 'utf8'));
  const [, command] = (scripts.start as string).split(' && node ');
  return (command as string).split(' ');
}

async function run(dialect: string): Promise<string[]> {
  const args = [...startCommand(), '--dialect', dialect];
  const options = { cwd: fileURLToPath(folder), timeout: 100_000 };
  const { stdout } = await promisify(execFile)(process.execPath, args, options);
  return stdout.trimEnd().split('\n');
}

test('the Kysely example prints the same on the pool and on SqliteDialect', async () => {
  const [pool, stock] = await Promise.all([run('poolite'), run('sqlite')]);
  expect(pool[0]).toBe('dialect: poolite');
  expect(stock[0]).toBe('dialect: sqlite');
  expect(pool.slice(1, -1)).toEqual(stock.slice(1, -1));
  expect(pool.slice(1, -1)).toEqual([
    'migrations: 2, and 0 the second time',
    'money before: 20000',
    expect.stringMatching(/^transfers: \d+ done, \d+ refused for lack of money$/),
    'money after: 20000',
    expect.stringMatching(/^streamed: \d+ transfers, the largest of \d+$/),
  ]);
});
