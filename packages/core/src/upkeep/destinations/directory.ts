import { createHash, randomBytes } from 'node:crypto';
import { copyFile, mkdir, open, readdir, rename, rm, stat } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import {
  type BackupDestination,
  blocks,
  isBackupName,
  type StoredBackup,
  sha256,
  type TransferOptions,
  transferError,
} from './destination.js';

/** Makes what is in a file, or a folder, outlast a power failure. */
async function toDisk(path: string): Promise<void> {
  const handle = await open(path, 'r');
  await handle.sync().finally(() => handle.close());
}

const UNFINISHED = '.unfinished';
/** What was not written to for so long, in ms, is of a process that has ended. */
const OLD = 3_600_000;

/** Another folder: of another disk, or of another machine. */
export class DirectoryDestination implements BackupDestination {
  readonly where: string;

  constructor(folder: string) {
    this.where = resolve(folder);
  }

  locationOf(name: string): string {
    return join(this.where, name);
  }

  async put(file: string, name: string, options: TransferOptions = {}): Promise<StoredBackup> {
    const { signal, onProgress } = options;
    const location = this.locationOf(name);
    const unfinished = `${location}.${randomBytes(6).toString('hex')}${UNFINISHED}`;
    try {
      await mkdir(this.where, { recursive: true });
      await this.#sweep();
      const wanted = await this.#copy(file, unfinished, signal, onProgress);
      await toDisk(unfinished);
      if ((await sha256(unfinished, signal)) !== wanted) {
        throw new Error('what was read back is not what was written');
      }
      await rename(unfinished, location);
      await toDisk(this.where);
      return await this.#stored(name);
    } catch (error) {
      await rm(unfinished, { force: true });
      throw transferError(`cannot store ${name} in ${this.where}`, error, signal);
    }
  }

  async list(): Promise<StoredBackup[]> {
    let names: string[];
    try {
      names = await readdir(this.where);
    } catch (error) {
      // It is made with the first backup.
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
      throw transferError(`cannot list ${this.where}`, error);
    }
    return Promise.all(
      names
        .filter(isBackupName)
        .sort()
        .map((name) => this.#stored(name)),
    );
  }

  async get(name: string, file: string, { signal }: TransferOptions = {}): Promise<void> {
    try {
      await copyFile(join(this.where, name), file);
    } catch (error) {
      throw transferError(`cannot fetch ${name} from ${this.where}`, error, signal);
    }
  }

  async remove(name: string): Promise<void> {
    await rm(join(this.where, name), { force: true });
  }

  /** Removes what processes left here that were killed. */
  async #sweep(): Promise<void> {
    for (const name of await readdir(this.where)) {
      const [backup = ''] = name.split(/\.[0-9a-f]{12}\.unfinished$/);
      if (!name.endsWith(UNFINISHED) || !isBackupName(backup)) continue;
      const path = join(this.where, name);
      const { mtimeMs } = await stat(path).catch(() => ({ mtimeMs: Number.POSITIVE_INFINITY }));
      if (Date.now() - mtimeMs > OLD) await rm(path, { force: true });
    }
  }

  async #copy(
    file: string,
    target: string,
    signal: AbortSignal | undefined,
    onProgress: TransferOptions['onProgress'],
  ): Promise<string> {
    const totalBytes = (await stat(file)).size;
    const hash = createHash('sha256');
    const out = await open(target, 'w');
    try {
      let doneBytes = 0;
      for await (const block of blocks(file, signal)) {
        hash.update(block);
        await out.writeFile(block);
        doneBytes += block.length;
        onProgress?.({ totalBytes, doneBytes });
      }
    } finally {
      await out.close();
    }
    return hash.digest('hex');
  }

  async #stored(name: string): Promise<StoredBackup> {
    const location = this.locationOf(name);
    const { size, mtime } = await stat(location);
    return { name, location, bytes: size, storedAt: mtime };
  }
}
