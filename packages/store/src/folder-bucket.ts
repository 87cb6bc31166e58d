import { randomUUID } from 'node:crypto';
import { link, mkdir, open, readdir, rename, rm, stat } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { type Bucket, BucketError, checkKey, MOST_BYTES, MOST_KEYS } from './bucket.js';

/** What is being written; its name is none that a part of a key could have. */
const TEMPORARY = '.tmp';
/** Where links are not to be had, an object is a folder with this file in it. */
const BODY = '.body';
/** What was not written to for so long, in ms, is of a process that has ended. */
const OLD = 3_600_000;

/** What link(2) says where the file system, or who mounted it, has no hard links. */
const NO_LINKS = new Set(['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'EMLINK', 'EXDEV', 'EACCES']);
/** What rename(2) says of a folder whose new name is taken: by another folder, or by a file. */
const TAKEN = new Set(['ENOTEMPTY', 'EEXIST', 'ENOTDIR']);
/** After these a network file system may still do what it was asked. */
const IN_DOUBT = new Set(['EIO', 'ETIMEDOUT', 'ESTALE', 'EINTR']);

function codeOf(error: unknown): string {
  return String((error as NodeJS.ErrnoException | undefined)?.code);
}

/** What decides how a folder keeps objects. */
export interface FolderBucketOptions {
  /** Whether hard links may be used. Default: true, until the file system refuses one. */
  links?: boolean;
  /**
   * Whether what is stored is on the disk before it counts as stored. Default: true. Without it a
   * power cut may undo commits that were answered; a process that is killed undoes none. For tests.
   */
  sync?: boolean;
}

/**
 * A folder as a bucket, for machines that share a disk, for trying, and for tests. Its files and
 * folders are its owner's alone. An object is written whole under another name, and synced, before
 * link(2) gives it its own, which fails where that is taken. Where there are no links, an object is
 * a folder with one file: rename(2) replaces no folder that is not empty. Both exclude each other,
 * so that processes need not agree on how.
 */
export class FolderBucket implements Bucket {
  readonly where: string;
  #links: boolean;
  readonly #sync: boolean;
  #ready: Promise<void> | undefined;
  readonly #folders = new Map<string, Promise<void>>();

  constructor(folder: string, options: FolderBucketOptions = {}) {
    this.where = resolve(folder);
    this.#links = options.links ?? true;
    this.#sync = options.sync ?? true;
  }

  async get(key: string): Promise<Uint8Array | undefined> {
    const path = this.#path(key);
    try {
      return (await this.#read(path)) ?? (await this.#read(join(path, BODY)));
    } catch (error) {
      throw this.#error(`cannot read ${key} in`, error, false);
    }
  }

  async create(key: string, body: Uint8Array): Promise<'created' | 'exists'> {
    return this.#store(key, body, async (temporary, path) => {
      const placed = this.#links ? await this.#link(temporary, path) : undefined;
      return placed ?? (await this.#renameFolder(temporary, path));
    });
  }

  async put(key: string, body: Uint8Array): Promise<void> {
    await this.#store(key, body, async (temporary, path) => {
      try {
        await rename(temporary, path);
      } catch (error) {
        // EPERM is what Windows says of it.
        if (!['EISDIR', 'ENOTEMPTY', 'EEXIST', 'EPERM'].includes(codeOf(error))) throw error;
        await rename(temporary, join(path, BODY));
        await this.#toDisk(path);
      }
    });
  }

  async list(prefix: string, after = ''): Promise<string[]> {
    const found: string[] = [];
    const walk = async (folder: string): Promise<void> => {
      const inside = await readdir(join(this.where, folder), { withFileTypes: true });
      for (const entry of inside) {
        const key = folder + entry.name;
        if (entry.name === BODY) found.push(folder.slice(0, -1));
        if (entry.name.startsWith('.')) continue;
        if (!entry.isDirectory()) found.push(key);
        else if (`${key}/`.startsWith(prefix) || prefix.startsWith(`${key}/`)) {
          await walk(`${key}/`).catch(ignoreMissing);
        }
      }
    };
    try {
      await walk('').catch(ignoreMissing);
    } catch (error) {
      throw this.#error(`cannot list ${prefix} in`, error, false);
    }
    return found
      .filter((key) => key.startsWith(prefix) && key > after)
      .sort()
      .slice(0, MOST_KEYS);
  }

  async remove(key: string): Promise<void> {
    const path = this.#path(key);
    // Out of the way at once: a folder would be removed file by file, under whoever makes it anew.
    const temporary = join(this.where, TEMPORARY, randomUUID());
    try {
      await this.#prepare();
      await rename(path, temporary).catch(ignoreMissing);
      await rm(temporary, { recursive: true, force: true });
      await this.#toDisk(dirname(path)).catch(ignoreMissing);
    } catch (error) {
      throw this.#error(`cannot remove ${key} from`, error, false);
    }
  }

  #path(key: string): string {
    checkKey(this.where, key);
    return join(this.where, ...key.split('/'));
  }

  async #read(path: string): Promise<Uint8Array | undefined> {
    try {
      const handle = await open(path, 'r');
      try {
        const { size } = await handle.stat();
        if (size > MOST_BYTES) throw new Error(`it has ${size} bytes: no object of the log has`);
        return await handle.readFile();
      } finally {
        await handle.close();
      }
    } catch (error) {
      if (codeOf(error) !== 'EISDIR') ignoreMissing(error);
      return undefined;
    }
  }

  /** Writes the bytes under another name, has `place` give them their own, and syncs that. */
  async #store<Result>(
    key: string,
    body: Uint8Array,
    place: (temporary: string, path: string) => Promise<Result>,
  ): Promise<Result> {
    const path = this.#path(key);
    const temporary = await this.#write(key, body);
    // Of a step that failed it is known that nothing came of it; of a folder not synced it is not.
    let definite = true;
    try {
      const result = await place(temporary, path);
      definite = false;
      // Who hears that it exists may rely on that too, also after a power cut.
      await this.#toDisk(dirname(path));
      return result;
    } catch (error) {
      throw this.#error(`cannot store ${key} in`, error, definite);
    } finally {
      await this.#discard(temporary);
    }
  }

  /** A file of another name with these bytes, on the disk, beside which its key's folder exists. */
  async #write(key: string, body: Uint8Array): Promise<string> {
    const temporary = join(this.where, TEMPORARY, randomUUID());
    try {
      if (body.length > MOST_BYTES) throw new Error(`it has more than ${MOST_BYTES} bytes`);
      await this.#prepare();
      await this.#folder(dirname(this.#path(key)));
      const handle = await open(temporary, 'wx', 0o600);
      try {
        await handle.writeFile(body);
        if (this.#sync) await handle.sync();
      } finally {
        await handle.close();
      }
      return temporary;
    } catch (error) {
      await this.#discard(temporary);
      throw this.#error(`cannot store ${key} in`, error, true);
    }
  }

  /** Undefined where this file system has no links. */
  async #link(temporary: string, path: string): Promise<'created' | 'exists' | undefined> {
    try {
      await link(temporary, path);
      return 'created';
    } catch (error) {
      const code = codeOf(error);
      if (code === 'EEXIST') return 'exists';
      if (!NO_LINKS.has(code)) throw error;
      this.#links = false;
      return undefined;
    }
  }

  async #renameFolder(temporary: string, path: string): Promise<'created' | 'exists'> {
    const folder = `${temporary}.d`;
    try {
      await mkdir(folder, { mode: 0o700 });
      await rename(temporary, join(folder, BODY));
      await this.#toDisk(folder);
      await rename(folder, path);
      return 'created';
    } catch (error) {
      if (TAKEN.has(codeOf(error))) return 'exists';
      // Windows has one word for both: not allowed, and taken.
      if (process.platform === 'win32' && (await exists(path))) return 'exists';
      throw error;
    } finally {
      await this.#discard(folder);
    }
  }

  /** The folder itself is made once: where it vanishes later, with its mount, it must be missed. */
  #prepare(): Promise<void> {
    this.#ready ??= (async () => {
      await mkdir(this.where, { recursive: true, mode: 0o700 });
      await this.#folder(join(this.where, TEMPORARY));
      await this.#sweep();
    })().catch((error) => {
      this.#ready = undefined;
      throw error;
    });
    return this.#ready;
  }

  async #folder(path: string): Promise<void> {
    if (path === this.where) return;
    const made = this.#folders.get(path) ?? this.#makeFolder(path);
    this.#folders.set(path, made);
    await made;
  }

  async #makeFolder(path: string): Promise<void> {
    try {
      await this.#folder(dirname(path));
      await mkdir(path, { mode: 0o700 }).catch((error) => {
        if (codeOf(error) !== 'EEXIST') throw error;
      });
      await this.#toDisk(dirname(path));
    } catch (error) {
      this.#folders.delete(path);
      throw error;
    }
  }

  /** Removes what processes left here that were killed. */
  async #sweep(): Promise<void> {
    const folder = join(this.where, TEMPORARY);
    for (const name of await readdir(folder)) {
      const path = join(folder, name);
      const { mtimeMs } = await stat(path).catch(() => ({ mtimeMs: Number.POSITIVE_INFINITY }));
      if (Date.now() - mtimeMs > OLD) await this.#discard(path);
    }
  }

  /** What cannot be removed now is swept later: it takes room, and is nothing worse. */
  async #discard(path: string): Promise<void> {
    await rm(path, { recursive: true, force: true }).catch(() => {});
  }

  /** Has the disk keep a folder's entries. Windows keeps them by itself, and opens no folders. */
  async #toDisk(folder: string): Promise<void> {
    if (!this.#sync || process.platform === 'win32') return;
    const handle = await open(folder, 'r');
    await handle.sync().finally(() => handle.close());
  }

  #error(what: string, error: unknown, definite: boolean): BucketError {
    if (error instanceof BucketError) return error;
    const { message } = error as Error;
    const refused = definite && !IN_DOUBT.has(codeOf(error));
    return new BucketError(`${what} ${this.where}: ${message}`, {
      definite: refused,
      cause: error,
    });
  }
}

function ignoreMissing(error: unknown): void {
  // ENOTDIR: a part of the path is a file, so that there is nothing below.
  if (!['ENOENT', 'ENOTDIR'].includes(codeOf(error))) throw error;
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}
