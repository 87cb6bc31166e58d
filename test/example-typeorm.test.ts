import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { beforeAll, expect, test } from 'vitest';

const folder = fileURLToPath(new URL('../examples/typeorm/', import.meta.url));

/** What `pnpm start` runs once everything is built. */
function startCommand(): string[] {
  const { scripts } = JSON.parse(readFileSync(`${folder}package.json`, 'utf8'));
  return (scripts.start as string).split(' && node ')[1]?.split(' ') ?? [];
}

async function run(door: string): Promise<string[]> {
  const args = [...startCommand(), '--door', door];
  const options = { cwd: folder, timeout: 100_000 };
  const { stdout } = await promisify(execFile)(process.execPath, args, options);
  return stdout.trimEnd().split('\n');
}

beforeAll(async () => {
  const tsup = fileURLToPath(new URL('../node_modules/tsup/dist/cli-default.js', import.meta.url));
  await promisify(execFile)(process.execPath, [tsup, '--silent'], { cwd: folder });
});

test.each(['driver', 'data-source'])(
  'the NestJS example keeps its money together, through the door %s',
  async (door) => {
    const printed = await run(door);
    expect(printed.slice(0, -1)).toEqual([
      `door: ${door}`,
      'migrations: 2, and 0 the second time',
      'money before: 20000',
      expect.stringMatching(/^transfers: \d+ done, \d+ refused for lack of money$/),
      'with the wrong manager: POOL_DEADLOCK',
      'money after: 20000',
      expect.stringMatching(/^streamed: \d+ transfers, the largest of \d+$/),
    ]);
  },
);
