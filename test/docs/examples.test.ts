import { execFile } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import ts from 'typescript';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { pageBlocks, root, sourceBlocks } from './blocks.ts';
import { programs } from './programs.ts';

const all = [...programs(pageBlocks()), ...programs(sourceBlocks())];
const folder = mkdtempSync(join(tmpdir(), 'poolite-docs-'));
/** Each program has a folder of its own, for the database files that it makes. */
const home = (index: number) => join(folder, String(index));
const errors = new Map<string, string[]>();

const options: ts.CompilerOptions = {
  target: ts.ScriptTarget.ES2022,
  lib: ['lib.es2023.d.ts', 'lib.esnext.disposable.d.ts'],
  module: ts.ModuleKind.NodeNext,
  moduleResolution: ts.ModuleResolutionKind.NodeNext,
  types: ['node'],
  typeRoots: [join(folder, 'node_modules', '@types')],
  strict: true,
  noUncheckedIndexedAccess: true,
  exactOptionalPropertyTypes: true,
  allowJs: true,
  skipLibCheck: true,
  outDir: join(folder, 'out'),
  rootDir: folder,
};

beforeAll(() => {
  const link = (name: string, target: string) => {
    const path = join(folder, 'node_modules', name);
    mkdirSync(join(path, '..'), { recursive: true });
    symlinkSync(fileURLToPath(new URL(target, root)), path, 'junction');
  };
  link('@poolite/core', 'packages/core');
  link('@poolite/hooks', 'packages/hooks');
  link('@poolite/kysely', 'packages/kysely');
  link('@poolite/store', 'packages/store');
  link('@poolite/typeorm', 'packages/typeorm');
  link('typeorm', 'packages/typeorm/node_modules/typeorm');
  link('kysely', 'packages/kysely/node_modules/kysely');
  link('@poolite/drizzle', 'packages/drizzle');
  link('drizzle-orm', 'packages/drizzle/node_modules/drizzle-orm');
  link('@types/node', 'node_modules/@types/node');
  link('@types/better-sqlite3', 'packages/core/node_modules/@types/better-sqlite3');
  writeFileSync(join(folder, 'package.json'), '{ "type": "module" }');
  const files: string[] = [];
  for (const [index, { file, source, beside }] of all.entries()) {
    mkdirSync(home(index));
    for (const [name, text] of new Map([...beside, [file, source]])) {
      const path = join(home(index), name);
      writeFileSync(path, text);
      files.push(path);
    }
  }
  const program = ts.createProgram(files, options);
  // What TypeScript writes runs on every Node.js that the package supports, `await using` too.
  const { diagnostics } = program.emit();
  for (const { file, start, messageText } of [
    ...ts.getPreEmitDiagnostics(program),
    ...diagnostics,
  ]) {
    const line = file?.getLineAndCharacterOfPosition(start ?? 0).line ?? 0;
    const name = file?.fileName ?? '';
    const found = errors.get(name) ?? [];
    found.push(`line ${line + 1}: ${ts.flattenDiagnosticMessageText(messageText, '\n')}`);
    errors.set(name, found);
  }
  writeFileSync(join(folder, 'out', 'package.json'), '{ "type": "module" }');
  // It compiles some hundred programs, which takes minutes where others use the processors.
}, 600_000);

afterAll(() => rmSync(folder, { recursive: true, force: true }));

async function run(index: number, file: string): Promise<string> {
  const cwd = join(folder, 'out', String(index));
  const written = file.replace(/\.([cm]?)ts$/, '.$1js');
  const { stdout } = await promisify(execFile)(process.execPath, [written], {
    cwd,
    timeout: 100_000,
  });
  return stdout;
}

describe.concurrent.each(all.map((program, index) => ({ ...program, index })))(
  '$where',
  ({ index, file, source, prints }) => {
    test('has the types it should have', () => {
      expect(errors.get(join(home(index), file).replaceAll('\\', '/')) ?? []).toEqual([]);
    });

    test('runs, ends by itself and prints what it says', async (context) => {
      const needs24 = source.includes("'@poolite/store'");
      context.skip(needs24 && Number.parseInt(process.versions.node, 10) < 24, 'Node.js 24');
      const printed = (await run(index, file)).split('\n');
      let from = 0;
      for (const line of prints) {
        const at = printed.indexOf(line, from);
        expect(at, `«${line}» is not in:\n${printed.join('\n')}`).toBeGreaterThanOrEqual(from);
        from = at + 1;
      }
    });
  },
);

test('there are examples', () => {
  expect(all.length).toBeGreaterThan(20);
});
