import { execFile } from 'node:child_process';
import {
  copyFileSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { onTestFinished } from 'vitest';

const here = fileURLToPath(new URL('../../', import.meta.url));

/** What a project can import: by name, where it is. */
const INSTALLED: Record<string, string> = {
  '@poolite/typeorm': here,
  '@poolite/core': join(here, '../core'),
  typeorm: join(here, 'node_modules/typeorm'),
};

/** The same, with the oldest typeorm that this package supports. */
export const OLDEST: Record<string, string> = {
  ...INSTALLED,
  typeorm: join(here, 'node_modules/typeorm-1.1.0'),
};

/** A project of its own, in a fresh folder: its files by name, and what is installed. */
export function project(
  files: Record<string, string>,
  installed: Record<string, string> = INSTALLED,
): { folder: string; run: (...args: string[]) => Promise<string> } {
  const folder = mkdtempSync(join(tmpdir(), 'poolite-project-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  for (const [name, target] of Object.entries(installed)) {
    const path = join(folder, 'node_modules', name);
    mkdirSync(dirname(path), { recursive: true });
    // What is linked sees what is installed beside its own place, and not beside the link.
    if (target === here) {
      cpSync(join(here, 'dist'), join(path, 'dist'), { recursive: true });
      copyFileSync(join(here, 'package.json'), join(path, 'package.json'));
    } else {
      symlinkSync(target, path, 'junction');
    }
  }
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, name)), { recursive: true });
    writeFileSync(join(folder, name), text);
  }
  const run = async (...args: string[]) => {
    const options = { cwd: folder, timeout: 100_000, env: { ...process.env, NO_COLOR: '1' } };
    const { stdout } = await promisify(execFile)(process.execPath, args, options);
    return stdout;
  };
  return { folder, run };
}
