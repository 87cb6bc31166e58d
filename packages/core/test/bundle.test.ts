import { mkdirSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build, type Format } from 'esbuild';
import { expect, test } from 'vitest';
import { runScript } from './support/child.ts';
import { freshFolder } from './support/folder.ts';

/** A package manager may tell Node.js of its own folders, where the package is found as well. */
const env = { NODE_PATH: '' };

const core = realpathSync(fileURLToPath(new URL('..', import.meta.url)));

const application = `
  import { createPool } from '@poolite/core';
  async function main() {
    const pool = createPool(process.argv[2]);
    await pool.exec('CREATE TABLE t (a)');
    await pool.run('INSERT INTO t VALUES (?)', [7]);
    console.log(JSON.stringify(await pool.all('SELECT a FROM t')));
    await pool.close();
  }
  main().catch((error) => {
    console.log(error.code, error.message);
    process.exitCode = 3;
  });
`;

/** An application bundled into one file, in a folder that has the package installed or not. */
async function bundled(format: Format, installed: boolean): Promise<{ file: string }> {
  const folder = realpathSync(freshFolder());
  const source = join(folder, 'source.js');
  writeFileSync(source, application);
  const file = join(folder, 'out', format === 'esm' ? 'main.mjs' : 'main.cjs');
  const scope = join(folder, 'node_modules/@poolite');
  mkdirSync(scope, { recursive: true });
  symlinkSync(core, join(scope, 'core'));
  await build({
    ...{ entryPoints: [source], outfile: file, bundle: true, format, platform: 'node' },
    logLevel: 'silent',
  });
  if (!installed) rmSync(scope, { recursive: true });
  return { file };
}

test.each(['esm', 'cjs'] as const)(
  'works bundled into one file, the package beside it (%s)',
  async (format) => {
    const script = await bundled(format, true);
    const { code, stdout, stderr } = await runScript(script, {
      args: [join(freshFolder(), 'app.db')],
      env,
    });
    expect({ code, stdout, stderr }).toEqual({ code: 0, stdout: '[{"a":7}]\n', stderr: '' });
  },
);

test.each(['esm', 'cjs'] as const)(
  'says what to do where it was bundled and is not installed (%s)',
  async (format) => {
    const script = await bundled(format, false);
    const folder = freshFolder();
    const { code, stdout } = await runScript(script, {
      args: [join(folder, 'app.db')],
      folder,
      env,
    });
    expect(stdout).toMatch(/^POOL_MISUSE .*was bundled.*--external:@poolite\/core/);
    expect(code).toBe(3);
  },
);
