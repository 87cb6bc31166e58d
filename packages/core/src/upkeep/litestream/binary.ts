import { execFile } from 'node:child_process';
import { accessSync, constants, statSync } from 'node:fs';
import { delimiter, dirname, isAbsolute, join, resolve } from 'node:path';
import { PoolError } from '../../errors.js';
import { resolveOptional } from '../system/optional-package.js';

/** The npm package that ships the binary, each system's in a package of its own. */
const PACKAGE = '@flydotio/litestream';

/** Which of Litestream's two formats of configuration a binary reads: they changed with 0.5. */
export type Dialect = '0.3' | '0.5';

export interface Binary {
  readonly path: string;
  /** As the binary tells it, such as `v0.3.13`. */
  readonly version: string;
  readonly dialect: Dialect;
}

function isProgram(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    // Not there, or not for us: the search goes on.
    return false;
  }
}

/** The binary of the npm package, where it is installed and there is one for this system. */
function installed(): string | undefined {
  const parent = resolveOptional(`${PACKAGE}/package.json`);
  if (parent === undefined) return undefined;
  // It lies beside its parent, or where pnpm keeps what a package depends on.
  const name = `litestream-${process.platform}-${process.arch}/litestream`;
  const beside = join(dirname(dirname(parent)), name);
  return isProgram(beside) ? beside : undefined;
}

function onPath(): string | undefined {
  const folders = (process.env.PATH ?? '').split(delimiter).filter(isAbsolute);
  return folders.map((folder) => join(folder, 'litestream')).find(isProgram);
}

/** Finds the binary: the one that is named, else the npm package's, else the one on the PATH. */
export function findBinary(named: string | undefined): string {
  if (process.platform === 'win32') {
    throw new PoolError('POOL_OPTIONS', `option 'replicate' is for Linux and macOS, not Windows`);
  }
  if (named !== undefined) {
    const path = resolve(named);
    if (isProgram(path)) return path;
    throw new PoolError('POOL_OPTIONS', `option 'replicate.binary': no program at ${path}`);
  }
  const found = installed() ?? onPath();
  if (found !== undefined) return found;
  throw new PoolError(
    'POOL_OPTIONS',
    `option 'replicate' needs the program litestream, which was not found: install the package ` +
      `${PACKAGE} (Linux, macOS), or name the program with 'replicate.binary'`,
  );
}

/** What a version of Litestream reads and writes. One that was built from source names none. */
function dialectOf(version: string): Dialect {
  const [, major, minor] = /^v?(\d+)\.(\d+)/.exec(version) ?? [];
  if (major === undefined) return '0.5';
  if (major === '0' && Number(minor) < 3) {
    throw new PoolError('POOL_OPTIONS', `litestream ${version} is too old: 0.3.13 or newer`);
  }
  return major === '0' && Number(minor) < 5 ? '0.3' : '0.5';
}

/** Asks a binary what it is. */
export function askBinary(path: string, signal?: AbortSignal): Promise<Binary> {
  return new Promise((done, fail) => {
    const options = { timeout: 30_000, ...(signal === undefined ? {} : { signal }) };
    execFile(path, ['version'], options, (error, stdout) => {
      if (signal?.aborted === true) {
        const cause = signal.reason;
        return fail(new PoolError('POOL_ABORTED', 'aborted by its signal', { cause }));
      }
      if (error !== null) {
        const message = `${path} cannot be run as litestream: ${error.message}`;
        return fail(new PoolError('POOL_OPTIONS', message, { cause: error }));
      }
      const version = stdout.trim();
      try {
        done({ path, version, dialect: dialectOf(version) });
      } catch (error) {
        fail(error);
      }
    });
  });
}
