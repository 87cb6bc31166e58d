import { copyFileSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { ExitCode } from '../src/exit.ts';
import { program } from '../src/program.ts';
import { Running } from './support/cli.ts';
import { freshFolder, makeDatabase } from './support/files.ts';
import { PoolChild } from './support/pool-child.ts';

const readme = readFileSync(new URL('../README.md', import.meta.url), 'utf8');
const blocks = [...readme.matchAll(/^```sh\n([\s\S]*?)^```$/gm)];
const lines = blocks.flatMap(([, text = '']) => text.trimEnd().split('\n'));

describe.skipIf(process.platform === 'win32')('the commands of the README', () => {
  test.each(lines)('%s', async (line) => {
    const folder = freshFolder();
    const file = makeDatabase(join(folder, 'app.db'));
    copyFileSync(file, join(folder, 'copy.sqlite'));
    mkdirSync(join(folder, 'backups'));
    const [npx, name, ...args] = line.split(' ');
    expect([npx, name]).toEqual(['npx', 'poolite']);
    if (args[0] === 'top') await PoolChild.start(file);
    const running = new Running(args, { cwd: folder });
    if (args[0] === 'serve') {
      await running.lines(1);
      running.child.kill('SIGTERM');
    }
    const { code, stdout } = await running.ended;
    expect(code).toBe(0);
    expect(stdout).not.toBe('');
  });
});

test('every command has a place, and no other', () => {
  const headings = [...readme.matchAll(/^### `(\w+)[^`]*`$/gm)].map(([, name]) => name);
  const commands = program().commands.map((command) => command.name());
  expect(headings.sort()).toEqual(commands.sort());
});

test('every command has --json', () => {
  for (const command of program().commands) {
    expect(
      command.options.map(({ long }) => long),
      command.name(),
    ).toContain('--json');
  }
});

test('every exit code has a row, and a place in the help', () => {
  const codes = Object.values(ExitCode).map(String);
  const rows = [...readme.matchAll(/^\| (\d+) \|/gm)].map(([, code]) => code);
  expect(rows).toEqual(codes);
});
