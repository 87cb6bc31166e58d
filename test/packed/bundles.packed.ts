import { renameSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { describe, expect, inject, test } from 'vitest';
import { esm } from './programs.ts';
import { part, shell } from './project.ts';

const formats = ['esm', 'cjs'] as const;
const extension = (format: (typeof formats)[number]) => (format === 'esm' ? 'mjs' : 'cjs');

const bundlings = formats.flatMap((format) =>
  ['--external:@poolite/core', '', '--minify', '--packages=external'].map((flags) => ({
    format,
    flags,
  })),
);

test.each(bundlings)('esbuild, $format, $flags: has all of the core', async ({ format, flags }) => {
  const folder = part({ 'main.js': esm });
  const file = `out/main.${extension(format)}`;
  const command = `npx --no -- esbuild main.js --bundle --platform=node --format=${format} ${flags}`;
  await shell(`${command} --outfile=${file} --log-level=warning`, folder);
  expect(await shell(`node ${file} app.db`, folder)).toMatch(/^done$/m);
});

test('Vite for servers, everything that is not external in one file: has all of the core', async () => {
  const folder = part({
    'main.js': esm,
    'vite.config.mjs': `export default {
      logLevel: 'warn',
      build: { ssr: 'main.js', outDir: 'out' },
      ssr: { noExternal: true, external: ['@poolite/core'] },
    };`,
  });
  await shell('npx --no -- vite build', folder);
  expect(await shell('node out/main.js app.db', folder)).toMatch(/^done$/m);
});

test('Vite for servers, as it is: has all of the core', async () => {
  const config = `export default { logLevel: 'warn', build: { ssr: 'main.js', outDir: 'out' } };`;
  const folder = part({ 'main.js': esm, 'vite.config.mjs': config });
  await shell('npx --no -- vite build', folder);
  expect(await shell('node out/main.js app.db', folder)).toMatch(/^done$/m);
});

describe('Next.js', () => {
  const route = `
    import { createPool } from '@poolite/core';
    export const dynamic = 'force-dynamic';
    const pool = createPool('app.db', { inlineReads: 'off' });
    export async function GET() {
      await pool.exec('CREATE TABLE IF NOT EXISTS t (a)');
      await pool.run('INSERT INTO t VALUES (7)');
      await pool.backup('app.backup');
      return Response.json(await pool.get('SELECT sum(a) AS total FROM t'));
    }`;
  const start = `
    import { createServer } from 'node:http';
    import next from 'next';
    const app = next({ dev: false, dir: process.cwd() });
    await app.prepare();
    const server = createServer(app.getRequestHandler());
    await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
    const answer = await fetch('http://127.0.0.1:' + server.address().port + '/total');
    console.log(answer.status, await answer.text());
    process.exit();`;

  /** Runs the server of a build that is put together, which knows no port but a given one. */
  const tryServer = `
    import { spawn } from 'node:child_process';
    import { createServer } from 'node:net';
    const free = createServer();
    await new Promise((resolve) => free.listen(0, '127.0.0.1', resolve));
    const { port } = free.address();
    await new Promise((resolve) => free.close(resolve));
    const env = { ...process.env, PORT: String(port), HOSTNAME: '127.0.0.1' };
    const server = spawn(process.execPath, ['server.js'], { env, stdio: 'inherit' });
    const url = 'http://127.0.0.1:' + port + '/total';
    let answer;
    while (answer === undefined && server.exitCode === null) {
      answer = await fetch(url).catch(() => new Promise((go) => setTimeout(go, 50)));
    }
    console.log(answer?.status, await answer?.text());
    server.kill();`;

  /** Builds an application with a configuration, and says where. */
  async function built(config: string): Promise<string> {
    const folder = part({
      'package.json': '{ "type": "module" }',
      'app/layout.js':
        'export default function Layout({ children }) { return <html><body>{children}</body></html>; }',
      'app/total/route.js': route,
      'next.config.mjs': `
        import { dirname } from 'node:path';
        const root = dirname(import.meta.dirname);
        export default { turbopack: { root }, outputFileTracingRoot: root, ${config} };`,
      'start.mjs': start,
    });
    await shell('npx --no -- next build', folder);
    return folder;
  }

  test.each([
    ['as it is', ''],
    ['with serverExternalPackages', "serverExternalPackages: ['@poolite/core']"],
  ])('%s: a route has all of the core', async (_, config) => {
    expect(await shell('node start.mjs', await built(config))).toMatch(/^200 \{"total":7\}$/m);
  });

  test.each([
    ['as it is', ''],
    ['with serverExternalPackages', "serverExternalPackages: ['@poolite/core'],"],
  ])('%s, put together for another place: a route has all of the core', async (_, config) => {
    const folder = await built(`${config} output: 'standalone', outputFileTracingIncludes: {
      '/**': ['../node_modules/@poolite/**/*', '../node_modules/better-sqlite3/**/*'],
    }`);
    // Outside of the project, in whose folder what is missing would be found.
    const place = join(dirname(inject('project')), basename(folder));
    renameSync(join(folder, '.next', 'standalone'), place);
    const home = join(place, basename(folder));
    writeFileSync(join(home, 'try.mjs'), tryServer);
    expect(await shell('node try.mjs', home)).toMatch(/^200 \{"total":7\}$/m);
  });
});
