import { execFile } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { inject } from 'vitest';
import { manifest, root } from './tarballs.ts';

/** The versions of some packages that the workspace tests with. */
function ranges(names: readonly string[]): Record<string, string> {
  const of = (folder: string) => manifest(join(root, folder)).devDependencies ?? {};
  const all = { ...of('.'), ...of('test'), ...of('packages/core') };
  const wanted = names.map((name): [string, string] => {
    const range = all[name];
    if (range === undefined) throw new Error(`nothing here depends on ${name}`);
    return [name, range];
  });
  return Object.fromEntries(wanted);
}

/** What the adapters are for, and TypeScript. */
const PEERS = ['kysely', 'drizzle-orm', 'typeorm', 'reflect-metadata', 'typescript', '@types/node'];

/** What an application has beside the packages: the peers, bundlers, a framework. */
function beside(): Record<string, string> {
  const next = { next: '^16', react: '^19', 'react-dom': '^19' };
  return { ...ranges([...PEERS, 'vite', 'esbuild']), ...next };
}

type Paths = Readonly<Record<string, string>>;

/** Makes a project in a new folder that depends on the tarballs and on other packages; returns where those are. */
function begin(folder: string, tarballs: Paths, others: Paths): Record<string, string> {
  mkdirSync(folder, { recursive: true });
  const own = Object.fromEntries(
    Object.entries(tarballs).map(([name, path]) => [name, `file:${path}`]),
  );
  const dependencies = { ...own, ...others };
  const content = { name: 'application', private: true, type: 'module', dependencies };
  writeFileSync(join(folder, 'package.json'), JSON.stringify(content, null, 2));
  return own;
}

/** Makes a project in a new folder, and installs the tarballs there with npm. */
export async function install(folder: string, tarballs: Paths): Promise<string> {
  begin(folder, tarballs, beside());
  // Without --force or --legacy-peer-deps: peers that contradict one another fail here.
  await shell('npm install --no-audit --no-fund --ignore-scripts', folder);
  return folder;
}

/**
 * Makes a project with the packages and their peers in a new folder, and installs it with pnpm: there each
 * package finds what it depends on, and nothing that another one does.
 */
export async function installIsolated(folder: string, tarballs: Paths): Promise<string> {
  const own = begin(folder, tarballs, ranges(PEERS));
  // JSON is YAML. That the packages find one another is the registry's part, which does not have them yet.
  // Scripts of dependencies are refused, so that nothing which must be compiled goes through.
  const settings = { packages: ['.'], nodeLinker: 'isolated', hoist: false, overrides: own };
  writeFileSync(join(folder, 'pnpm-workspace.yaml'), JSON.stringify(settings));
  await shell('pnpm install --no-frozen-lockfile', folder);
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

/** A folder of a project with some files, from where what is installed there is found. */
export function part(files: Paths, project = inject('project')): string {
  const folder = join(project, `part-${process.pid}-${made++}`);
  for (const [name, text] of Object.entries(files)) {
    const path = join(folder, name);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, text);
  }
  return folder;
}
