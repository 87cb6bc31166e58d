import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { json, poolite } from './support/cli.ts';
import { makeDatabase } from './support/files.ts';

const folder = mkdtempSync(join(tmpdir(), 'poolite-cli-'));
const at = (name: string) => join(folder, name);

beforeAll(() => {
  makeDatabase(at('good.db'));
  mkdirSync(at('folder'));
  writeFileSync(at('text.db'), 'this is no database, whatever its name says. '.repeat(10));
  writeFileSync(at('short.db'), readFileSync(at('good.db')).subarray(0, 50));
  writeFileSync(at('packed.gz'), gzipSync(readFileSync(at('good.db'))));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

interface Failure {
  error: { code: string; message: string; exitCode: number };
}

/** Commands whose first argument is a database file. */
const ON_A_FILE = ['doctor', 'checkpoint', 'verify', 'top'];

const BAD_FILES: [name: string, code: string, exitCode: number, why: RegExp][] = [
  ['missing.db', 'NOT_FOUND', 1, /there is no file .*missing\.db/],
  ['good.db/inside.db', 'NOT_FOUND', 1, /there is no file/],
  ['folder', 'NOT_A_FILE', 1, /is a directory: name the database file in it/],
  ['text.db', 'NOT_A_DATABASE', 3, /is no SQLite database: it begins with other bytes/],
  ['short.db', 'NOT_A_DATABASE', 3, /is no SQLite database: it ends within its header/],
];

const files = ON_A_FILE.flatMap((command) => BAD_FILES.map((bad) => [command, ...bad] as const));

describe.concurrent('a file that is none', () => {
  test.each(files)('%s %s: %s, exit code %i', async (command, name, code, exitCode, why) => {
    const ended = await poolite([command, at(name), '--json']);
    const { error } = json<Failure>(ended);
    expect(error).toMatchObject({ code, exitCode });
    expect(error.message).toMatch(why);
    expect([ended.code, ended.stderr]).toEqual([exitCode, '']);
  });

  test('is told on standard error without --json', async () => {
    const { code, stdout, stderr } = await poolite(['verify', at('missing.db')]);
    expect([code, stdout]).toEqual([1, '']);
    expect(stderr).toBe(`poolite: there is no file ${at('missing.db')}\n`);
  });

  test('that is compressed is called so', async () => {
    const { code, stderr } = await poolite(['doctor', at('packed.gz')]);
    expect(code).toBe(3);
    expect(stderr).toContain('is compressed with gzip: `poolite verify` looks a backup through');
  });
});

describe.concurrent('wrong usage', () => {
  test.each<[args: string[], why: RegExp]>([
    [['docter'], /unknown command 'docter'\n\(Did you mean doctor\?\)/],
    [['doctor'], /missing required argument 'file'/],
    [['doctor', 'a.db', 'b.db'], /too many arguments/],
    [['doctor', 'a.db', '--fast'], /unknown option '--fast'/],
    [['checkpoint', 'a.db', '--mode', 'all'], /'all' is invalid\. It is one of PASSIVE, FULL/],
    [['top', 'a.db', '--interval', '5'], /'5' is invalid\. It is a whole number from 100/],
    [['bench', '--rounds', 'many'], /'many' is invalid\. It is a whole number/],
  ])('%j', async (args, why) => {
    const plain = await poolite(args);
    expect([plain.code, plain.stdout]).toEqual([2, '']);
    expect(plain.stderr).toMatch(why);
    const ended = await poolite([...args, '--json']);
    const { error } = json<Failure>(ended);
    expect(error).toMatchObject({ code: 'USAGE', exitCode: 2 });
    expect(error.message).toMatch(why);
    expect([ended.code, ended.stderr]).toEqual([2, '']);
  });

  test('no command is wrong usage, and shows the help', async () => {
    const { code, stderr } = await poolite([]);
    expect(code).toBe(2);
    expect(stderr).toContain('Usage: poolite');
  });
});

describe.concurrent('help', () => {
  test('tells the exit codes', async () => {
    const { code, stdout } = await poolite(['--help']);
    expect(code).toBe(0);
    expect(stdout).toContain('Exit codes:');
  });

  test('of a command tells its options', async () => {
    const { code, stdout } = await poolite(['checkpoint', '--help']);
    expect(code).toBe(0);
    expect(stdout).toContain('--mode <mode>');
  });

  test('the version is that of the package', async () => {
    const { version } = JSON.parse(
      readFileSync(new URL('../package.json', import.meta.url), 'utf8'),
    ) as { version: string };
    expect((await poolite(['--version'])).stdout).toBe(`${version}\n`);
  });
});
