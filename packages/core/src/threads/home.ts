import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { type Transferable, Worker, type WorkerOptions } from 'node:worker_threads';
import { PoolError } from '../errors.js';
import type { ConnectionOptions } from './connection.js';

/** This file's own address; a bundler may leave nothing of it, or the address of its bundle. */
const here: unknown = import.meta.url;

function threadBeside(address: string): string | undefined {
  const url = new URL('./thread.js', address);
  return url.protocol === 'file:' && existsSync(fileURLToPath(url)) ? url.href : undefined;
}

let found: string | undefined;

/**
 * The address of the threads' own file, which is also where this package's dependencies are
 * found from: beside this file once built; by the package's name where an application was bundled
 * into one file.
 */
export function threadFile(): string {
  if (found !== undefined) return found;
  const own = typeof here === 'string' && here.startsWith('file:') ? here : undefined;
  found = own === undefined ? undefined : threadBeside(own);
  if (found !== undefined) return found;
  const application = pathToFileURL(join(process.cwd(), 'index.js')).href;
  for (const from of own === undefined ? [application] : [own, application]) {
    try {
      found = pathToFileURL(createRequire(from).resolve('@poolite/core/thread')).href;
      return found;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'MODULE_NOT_FOUND') throw error;
    }
  }
  throw new PoolError(
    'POOL_MISUSE',
    "the program of the pool's threads was not found: the application was bundled, and " +
      "'@poolite/core' is not installed where the bundle runs. Install it there, or keep it out of " +
      "the bundle (esbuild: --external:@poolite/core; webpack and Vite: 'externals', 'ssr.external')",
  );
}

/** `node --input-type=module -e …`: a thread's file cannot be started with this flag, and others
 * cannot be handed on without it, since Node.js refuses a list that names a flag of the process. */
function isCommandLineScript(): boolean {
  return process.execArgv.some((flag) => flag.startsWith('--input-type'));
}

/**
 * Starts the threads' program on a thread. Turbopack follows `new Worker()` with a file that it cannot tell into every
 * file beside this one, and fails at the declarations of types; what it cannot see it leaves alone.
 */
export function startProgram(
  what: string,
  workerData: { connection: ConnectionOptions },
  transferList: Transferable[] = [],
): Worker {
  // The flags of the process (loaders, watchers) only slow a thread down, save where the
  // user's own `setup` module may need them.
  const flags = workerData.connection.setup !== undefined && !isCommandLineScript();
  const options: WorkerOptions = {
    ...{ workerData, transferList, name: `poolite ${what}` },
    ...(flags ? {} : { execArgv: [] }),
  };
  return Reflect.construct(Worker, [new URL(threadFile()), options]) as Worker;
}

/** Loads what this package depends on. */
export function ownRequire(): NodeJS.Require {
  return createRequire(threadFile());
}
