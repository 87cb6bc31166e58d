import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { VerifyResult } from '../src/commands/verify.ts';
import { json, poolite } from './support/cli.ts';
import { freshFolder, makeDamaged, makeDatabase, makeOrphans } from './support/files.ts';

test('a sound database is sound, and nothing is left beside it', async () => {
  const folder = freshFolder();
  const file = makeDatabase(join(folder, 'app.db'));
  const before = readFileSync(file);
  const full = await poolite(['verify', file, '--json']);
  expect([full.code, full.stderr]).toEqual([0, '']);
  expect(json<VerifyResult>(full)).toMatchObject({
    file,
    bytes: before.length,
    sound: true,
    check: 'full',
    problems: [],
    orphans: [],
    orphanCount: 0,
  });
  const quick = await poolite(['verify', file, '--quick']);
  expect([quick.code, quick.stderr]).toEqual([0, '']);
  expect(quick.stdout).toMatch(/^sound {2}.*app\.db {2}\(quick check and foreign keys, /);
  expect(readdirSync(folder)).toEqual(['app.db']);
  expect(readFileSync(file).equals(before)).toBe(true);
});

test('a damaged database is called so, with what SQLite complains of', async () => {
  const file = makeDamaged(join(freshFolder(), 'app.db'));
  const ended = await poolite(['verify', file, '--json']);
  const result = json<VerifyResult>(ended);
  expect([ended.code, result.sound]).toEqual([3, false]);
  expect(result.problems.join('\n')).toMatch(/by_name|malformed/);
  const text = await poolite(['verify', file]);
  expect(text.code).toBe(3);
  expect(text.stdout).toMatch(/^damaged {2}/);
  expect(text.stdout).toContain(`\n  ${result.problems[0]?.split('\n')[0]}`);
});

test('rows without a parent are named, the first hundred of them', async () => {
  const file = makeOrphans(join(freshFolder(), 'app.db'), 120);
  const ended = await poolite(['verify', file, '--json']);
  const result = json<VerifyResult>(ended);
  expect([ended.code, result.sound, result.problems]).toEqual([3, false, []]);
  expect([result.orphans.length, result.orphanCount]).toEqual([100, 120]);
  expect(result.orphans[0]).toEqual({ table: 'c', rowid: 1, parent: 'p', key: 0 });
  const { stdout } = await poolite(['verify', file]);
  expect(stdout).toContain('  row 1 of c refers to a row of p that is not there\n');
  expect(stdout).toContain('  … and 20 more\n  120 rows without a parent in all\n');
});
