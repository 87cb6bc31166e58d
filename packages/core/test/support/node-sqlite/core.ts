import type {
  ListedBackup,
  ListStoredBackupsOptions,
  Pool,
  PoolOptions,
  RestoreOptions,
  RestoreResult,
  VerifyBackupOptions,
  WriterServer,
  WriterServerOptions,
} from '../../../dist/index.js';
import * as core from '../../../dist/index.js';

/** Under `pnpm test:node-sqlite`, `@poolite/core` leads here: the driver is Node's own where none is named. */
export * from '../../../dist/index.js';

function driven<Options>(options: Options): Options {
  const isPlain = Object.getPrototypeOf(options ?? {}) === Object.prototype;
  if (options === null || !isPlain) return options;
  return { driver: 'node:sqlite', ...options };
}

export function createPool(file: string, options?: PoolOptions): Pool {
  return core.createPool(file, driven(options));
}

export function restoreBackup(
  from: string,
  to: string,
  options?: RestoreOptions,
): Promise<RestoreResult> {
  return core.restoreBackup(from, to, driven(options));
}

export function verifyBackup(
  backup: string,
  options?: VerifyBackupOptions,
): ReturnType<typeof core.verifyBackup> {
  return core.verifyBackup(backup, driven(options));
}

export function listBackups(
  directory: string,
  options?: ListStoredBackupsOptions,
): Promise<ListedBackup[]> {
  return core.listBackups(directory, driven(options));
}

export function startWriterServer(
  file: string,
  options?: WriterServerOptions,
): Promise<WriterServer> {
  return core.startWriterServer(file, driven(options));
}
