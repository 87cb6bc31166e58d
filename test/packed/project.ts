import { execFile } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { inject } from 'vitest';
import { manifest, root } from './tarballs.ts';

/** What an application has beside the packages: the peers, TypeScript, bundlers, a framework. */
function beside(): Record<string, string> {
  const ranges = (folder: string) => manifest(join(root, folder)).devDependencies ?? {};
  const all = { ...ranges('.'), ...ranges('test'), ...ranges('packages/core') };
  const names = ['@types/node', 'typescript', 'vite', 'esbuild', 'kysely', 'drizzle-orm'];
  const wanted = [...names, 'typeorm', 'reflect-metadata'].map((name): [string, string] => {
    const range = all[name];
    if (range === undefined) throw new Error(`nothing here depends on ${name}`);
    return [name, range];
  });
  return { ...Object.fromEntries(wanted), next: '^16', react: '^19', 'react-dom': '^19' };
}

/** Makes a project in a new folder, and installs the tarballs there with npm. */
export async function install(
  folder: string,
  tarballs: Readonly<Record<string, string>>,
): Promise<string> {
  mkdirSync(folder, { recursive: true });
  const own = Object.entries(tarballs).map(([name, path]) => [name, `file:${path}`]);
  const dependencies = { ...Object.fromEntries(own), ...beside() };
  const content = { name: 'application', private: true, type: 'module', dependencies };
  writeFileSync(join(folder, 'package.json'), JSON.stringify(content, null, 2));
  // Without --force or --legacy-peer-deps: peers that contradict one another fail here.
  await shell('npm install --no-audit --no-fund --ignore-scripts', folder);
  return folder;
}

/** What a command prints; it must end with 0. */
export async function shell(command: string, cwd: string): Promise<string> {
  const env = { ...process.env, NODE_PATH: '', NODE_OPTIONS: '', NEXT_TELEMETRY_DISABLED: '1' };
  try {
    const maxBuffer = 64 * 1024 * 1024;
    const { stdout } = await promisify(execFile)(command, {
      ...{ cwd, env, maxBuffer, shell: true },
    });
    return stdout;
  } catch (error) {
    const { stdout, stderr } = error as { stdout?: string; stderr?: string };
    throw new Error(`${command}\n${stdout}\n${stderr}`, { cause: error });
  }
}

let made = 0;

/** A folder of the project with some files, from where what is installed is found. */
export function part(files: Readonly<Record<string, string>>): string {
  const folder = join(inject('project'), `part-${process.pid}-${made++}`);
  for (const [name, text] of Object.entries(files)) {
    const path = join(folder, name);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, text);
  }
  return folder;
}
