import { execFile } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const folder = fileURLToPath(new URL('.', import.meta.url));
const run = promisify(execFile);

/** By package: why it cannot be compared with. */
export type Missing = ReadonlyMap<string, string>;

const reasonOf = (error: unknown): string => {
  const { stderr = '', message } = error as { stderr?: string; message: string };
  const lines = stderr.split('\n').filter((line) => /\berr(or)?\b/i.test(line));
  return (lines.at(-1) ?? message.split('\n')[0] ?? 'unknown').trim();
};

function loads(name: string): string | undefined {
  const found = existsSync(`${folder}node_modules/${name}/package.json`);
  return found ? undefined : 'not installed';
}

/** Of the packages with a native part that is compiled where nothing prebuilt is found. */
async function compile(name: string): Promise<string | undefined> {
  const require = createRequire(new URL('./package.json', import.meta.url));
  try {
    require(name);
    return undefined;
  } catch {
    console.log(`compiling ${name} …`);
  }
  try {
    await run('npm', ['rebuild', name], { cwd: folder, maxBuffer: 2 ** 28 });
    require(name);
    return undefined;
  } catch (error) {
    return `not compiled: ${reasonOf(error)}`;
  }
}

/** Installs what the benchmarks compare with and is no part of the workspace, when it is missing. */
export async function installPeers(): Promise<Missing> {
  const { dependencies } = JSON.parse(readFileSync(`${folder}package.json`, 'utf8')) as {
    dependencies: Record<string, string>;
  };
  const names = Object.keys(dependencies);
  const missing = new Map<string, string>();
  if (names.some((name) => loads(name) !== undefined)) {
    console.log('installing what to compare with (test/bench/peers) …');
    try {
      await run('npm', ['ci', '--ignore-scripts'], { cwd: folder, maxBuffer: 2 ** 28 });
    } catch (error) {
      for (const name of names) missing.set(name, `not installed: ${reasonOf(error)}`);
      return missing;
    }
  }
  const reason = await compile('sqlite3');
  if (reason !== undefined) missing.set('sqlite3', reason);
  return missing;
}
