import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const source = fileURLToPath(new URL('../src/hooks.c', import.meta.url));

/** The folder of `sqlite3ext.h` and `sqlite3.c`, which better-sqlite3 carries for builds of its own. */
export function sqliteFolder(): string | undefined {
  const require = createRequire(import.meta.url);
  const folder = join(dirname(require.resolve('better-sqlite3/package.json')), 'deps/sqlite3');
  return existsSync(join(folder, 'sqlite3ext.h')) ? folder : undefined;
}

export const WARNINGS = ['-std=c11', '-Wall', '-Wextra', '-Werror'];

/** What a C compiler is called with to make the extension. */
export function flags(platform: string, headers: string, out: string): string[] {
  const windows = platform.startsWith('win32');
  const shared = platform.startsWith('darwin') ? ['-dynamiclib'] : ['-shared'];
  if (!windows) shared.push('-fPIC', '-fvisibility=hidden');
  return [...WARNINGS, '-O2', ...shared, `-I${headers}`, source, '-o', out];
}

/** Whether there is such a command. */
export function has(command: string): boolean {
  try {
    execFileSync(command, ['--version'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}
