import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { beforeAll, expect, inject, test } from 'vitest';
import { adapterCases, adapterProgram, cjs, esm } from './programs.ts';
import { installIsolated, part, shell } from './project.ts';
import { tscErrors } from './tsc.ts';
import { adapters, core, OTHERS } from './typed.ts';

let project = '';
beforeAll(async () => {
  const folder = join(dirname(inject('project')), 'isolated');
  project = await installIsolated(folder, inject('tarballs'));
});

test('what nobody but the core depends on is not found by the application', () => {
  expect(existsSync(join(project, 'node_modules', '@poolite', 'core'))).toBe(true);
  expect(existsSync(join(project, 'node_modules', 'better-sqlite3'))).toBe(false);
});

test.each([
  ['main.mjs', esm],
  ['main.cjs', cjs],
])('%s, installed by pnpm: has all of the core', async (file, source) => {
  expect(await shell(`node ${file} app.db`, part({ [file]: source }, project))).toMatch(/^done$/m);
});

test.each(adapterCases)(
  '@poolite/%s, installed by pnpm, in a program in %s',
  async (adapter, way) => {
    const { file, source } = adapterProgram(adapter, way);
    expect(await shell(`node ${file}`, part({ [file]: source }, project))).toMatch(/n: 7/);
  },
);

test('the command line, installed by pnpm, is there', async () => {
  const folder = part({ 'main.mjs': esm }, project);
  await shell('node main.mjs app.db', folder);
  const told = JSON.parse(await shell('pnpm exec poolite doctor app.db --json', folder));
  expect(told).toMatchObject({ status: 'ok' });
});

test('types hold, installed by pnpm', async () => {
  const files = { 'core.mts': core, 'core.cts': core, 'adapters.mts': adapters };
  const compilerOptions = {
    ...{ module: 'node16', strict: true, skipLibCheck: false, noEmit: true },
    ...{ target: 'es2023', types: ['node'] },
  };
  const config = JSON.stringify({ compilerOptions, files: Object.keys(files) });
  const folder = part({ ...files, 'tsconfig.json': config }, project);
  expect((await tscErrors(folder, OTHERS)).own).toEqual([]);
});
