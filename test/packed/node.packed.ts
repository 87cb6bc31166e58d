import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { builtinModules } from 'node:module';
import { join } from 'node:path';
import { describe, expect, inject, test } from 'vitest';
import { adapterCases, adapterProgram, cjs, esm } from './programs.ts';
import { part, shell } from './project.ts';
import { type Manifest, manifest } from './tarballs.ts';

const project = inject('project');
const names = Object.keys(inject('tarballs'));
const home = (name: string) => join(project, 'node_modules', name);
const extension = names.some((name) => name.startsWith('@poolite/hooks-'));

/** The paths that a manifest names, in `exports` and elsewhere. */
function named(value: unknown): string[] {
  if (typeof value === 'string') return value.startsWith('./') ? [value] : [];
  if (typeof value !== 'object' || value === null) return [];
  return Object.values(value).flatMap(named);
}

/** The packages that a built file imports, in whatever way. */
function imports(text: string): string[] {
  const found = text.matchAll(
    /(?:\bfrom\s*|\bimport\s*|\bimport\(\s*|\brequire\(\s*)(['"])([\w@][^'"\s]*)\1/g,
  );
  return [...found].map(([, , name = '']) =>
    name
      .split('/')
      .slice(0, name[0] === '@' ? 2 : 1)
      .join('/'),
  );
}

describe.each(names)('%s as it is installed', (name) => {
  const own: Manifest & Record<string, unknown> = { ...manifest(home(name)) };

  test('has every file that its manifest names, its license, and its page', () => {
    const { exports, bin, typesVersions } = own;
    const main = [own.main, own.module, own.types].filter((path) => path !== undefined);
    const bins = Object.values((bin ?? {}) as Record<string, string>);
    const versions = named(typesVersions);
    for (const path of [...named(exports), ...main, ...bins, ...versions]) {
      expect(existsSync(join(home(name), String(path))), String(path)).toBe(true);
    }
    if (name.startsWith('@poolite/hooks-')) return;
    for (const file of ['LICENSE', 'README.md']) {
      expect(existsSync(join(home(name), file)), file).toBe(true);
    }
  });

  test('depends on no package of a workspace', () => {
    expect(JSON.stringify(own)).not.toContain('workspace:');
  });

  test('imports nothing but Node.js and what it depends on', () => {
    const dist = join(home(name), 'dist');
    const files = existsSync(dist) ? readdirSync(dist) : [];
    const code = files.filter((file) => /\.(?:c?js|d\.c?ts)$/.test(file));
    const used = new Set(code.flatMap((file) => imports(readFileSync(join(dist, file), 'utf8'))));
    const depended = { ...own.dependencies, ...own.peerDependencies, ...own.optionalDependencies };
    const known = [name, ...Object.keys(depended), ...builtinModules];
    const unknown = [...used].filter((each) => !each.startsWith('node:') && !known.includes(each));
    expect(unknown).toEqual([]);
  });
});

test('npm finds nothing missing, and nothing that contradicts', async () => {
  await expect(shell('npm ls --all', project)).resolves.not.toMatch(/UNMET DEPENDENCY|invalid/);
});

describe.each([
  ['ESM', 'main.mjs', esm],
  ['CommonJS', 'main.cjs', cjs],
])('a program in %s', (_, file, source) => {
  test('has all of the core', async () => {
    const folder = part({ [file]: source });
    const printed = await shell(`node ${file} app.db`, folder);
    expect(printed).toMatch(extension ? /^hooks: loaded$/m : /^hooks: no extension/m);
    expect(printed).toMatch(/^done$/m);
  });
});

test.each(adapterCases)('@poolite/%s in a program in %s', async (adapter, way) => {
  const { file, source } = adapterProgram(adapter, way);
  expect(await shell(`node ${file}`, part({ [file]: source }))).toMatch(/n: 7/);
});

test('the command line is there, by its name', async () => {
  const folder = part({ 'main.mjs': esm });
  await shell('node main.mjs app.db', folder);
  const told = JSON.parse(await shell('npx --no -- poolite doctor app.db --json', folder));
  expect(told).toMatchObject({ status: 'ok' });
  expect((await shell('npx --no -- poolite --version', folder)).trim()).toBe(
    manifest(home('poolite')).version,
  );
});
