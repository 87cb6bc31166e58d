import { createHash, randomBytes } from 'node:crypto';
import { lstatSync, mkdirSync, readdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** The longest path that a socket may have everywhere: macOS has 104 bytes, with a zero behind it. */
const LONGEST = 103;

/** The name of a socket: the database, the process, and chance, for one process may have several. */
const NAME = /^([0-9a-f]{16})-(\d{1,10})-[0-9a-f]{6}\.sock$/;

/** The bytes that a name adds to its folder, where a process has the largest number it can have. */
const NAME_BYTES = '/0123456789abcdef-4194304-012345.sock'.length;

/** What the name of a socket stands for: the database file, by its real path. */
export function mark(realPath: string): string {
  return createHash('sha256').update(realPath).digest('hex').slice(0, 16);
}

export function socketName(realPath: string): string {
  return `${mark(realPath)}-${process.pid}-${randomBytes(3).toString('hex')}.sock`;
}

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}

/** A socket of a folder, by its name. */
export interface SocketEntry {
  readonly path: string;
  readonly mark: string;
  readonly pid: number;
}

/** The sockets of a folder; none where it cannot be read. */
export function socketsIn(folder: string): SocketEntry[] {
  return namesIn(folder).flatMap((name) => {
    const [, mark, pid] = NAME.exec(name) ?? [];
    return mark === undefined ? [] : [{ path: join(folder, name), mark, pid: Number(pid) }];
  });
}

/** Whether a socket in this folder has a path that the system can take. */
export function fits(folder: string): boolean {
  return Buffer.byteLength(folder) + NAME_BYTES <= LONGEST;
}

/** How long the path of a folder may be, in bytes. */
export const LONGEST_FOLDER = LONGEST - NAME_BYTES;

/** Folders for temporary files: the system's, and `/tmp`, whose path is short. */
function bases(): string[] {
  return [...new Set([tmpdir(), '/tmp'])];
}

/** Where a pool of this user puts its sockets, unless it was told where. */
export function defaultFolder(): string {
  const folders = bases().map((base) => join(base, `poolite-${userId()}`));
  return folders.find(fits) ?? (folders.at(-1) as string);
}

/** Where the sockets of pools may be: this user's, and for the system's administrator everybody's. */
export function knownFolders(): string[] {
  const mine = bases().map((base) => join(base, `poolite-${userId()}`));
  if (userId() !== 0) return mine;
  const all = bases().flatMap((base) =>
    namesIn(base)
      .filter((name) => /^poolite-\d+$/.test(name))
      .map((name) => join(base, name)),
  );
  return [...new Set([...mine, ...all])];
}

function userId(): number {
  return process.geteuid?.() ?? 0;
}

/**
 * Why a folder is not to be trusted; undefined where it is. Everybody may make folders below
 * `/tmp`: one that belongs to somebody else, or that others may enter, is none for sockets.
 */
export function distrust(folder: string): string | undefined {
  const stats = lstatSync(folder, { throwIfNoEntry: false });
  if (stats === undefined) return `the folder ${folder} does not exist`;
  if (!stats.isDirectory()) return `${folder} is not a folder`;
  // The administrator looks into everybody's folders, each of which bears its owner's number.
  const named = /\/poolite-(\d+)$/.exec(folder)?.[1];
  const owner = userId() === 0 && named !== undefined ? Number(named) : userId();
  if (stats.uid !== owner) return `the folder ${folder} belongs to another user (${stats.uid})`;
  if ((stats.mode & 0o077) !== 0) {
    return `others may enter the folder ${folder}: it needs the mode 0700 (chmod 700 ${folder})`;
  }
  return undefined;
}

/** Makes the folder where it does not exist, and refuses one that others may enter. */
export function ownFolder(folder: string): void {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const why = distrust(folder);
  if (why !== undefined) throw new Error(why);
}
