import { randomUUID } from 'node:crypto';
import { type FileHandle, open, rm } from 'node:fs/promises';
import { type Bucket, BucketError, MOST_KEYS } from './bucket.js';
import { DamagedError, seal, sumOfHead, unseal } from './envelope.js';
import { numberOf, PIECES, partKey, snapshotKey } from './keys.js';
import { ahead, parallel } from './parallel.js';

/** The most bytes of a database in one object. */
export const PIECE_BYTES = 8 * 1024 * 1024;
/** Pieces under way at once: so many are in memory, as they are and compressed. */
const AT_ONCE = 3;
const MOST_MANIFEST = 32 * 1024 * 1024;
const MOST_TEXT = 4096;

/** What a snapshot is the state of. */
export interface SnapshotHead {
  /** The entry after which the database was as it is here. */
  readonly number: number;
  /** The token of that entry. */
  readonly token: string;
  /** The version of SQLite that wrote the file. */
  readonly sqlite: string;
  /** The hash of its schema. */
  readonly schema: string;
}

interface Piece {
  readonly key: string;
  /** Of the object, as its envelope has it, in hexadecimal digits. */
  readonly sha256: string;
  readonly bytes: number;
}

/** All of a snapshot but its bytes. */
export interface Snapshot extends SnapshotHead {
  /** The size of the file. */
  readonly bytes: number;
  /** Where the file is, in order. */
  readonly pieces: readonly Piece[];
}

/** What ends it early. */
export interface SnapshotOptions {
  /** When it is aborted, nothing more is asked for, and its reason is thrown. */
  signal?: AbortSignal;
}

/** How a snapshot is stored. */
export interface StoreSnapshotOptions extends SnapshotOptions {
  /** The size of its pieces, at most 8 MiB, which is the default. */
  pieceBytes?: number;
}

/**
 * Stores a file, which nobody changes meanwhile, as the snapshot of an entry, in compressed pieces:
 * neither it nor the file is ever in memory as a whole, and no request is large. The pieces come
 * first, what names them last, and once: `'exists'` where another machine was faster.
 */
export async function storeSnapshot(
  bucket: Bucket,
  file: string,
  head: SnapshotHead,
  { signal, pieceBytes = PIECE_BYTES }: StoreSnapshotOptions = {},
): Promise<'created' | 'exists'> {
  const handle = await open(file, 'r');
  const stored: string[] = [];
  let mayBeNamed = false;
  try {
    const { size } = await handle.stat();
    const count = Math.ceil(size / pieceBytes);
    const pieces = await parallel(Array(count).keys(), AT_ONCE, async (index): Promise<Piece> => {
      signal?.throwIfAborted();
      const bytes = Math.min(pieceBytes, size - index * pieceBytes);
      const body = await seal('piece', await readAt(handle, index * pieceBytes, bytes));
      const key = partKey(PIECES, head.number, randomUUID());
      stored.push(key);
      await bucket.put(key, body);
      return { key, sha256: sumOfHead(body).toString('hex'), bytes };
    });
    signal?.throwIfAborted();
    const manifest = await sealManifest({ ...head, bytes: size, pieces });
    mayBeNamed = true;
    const result = await bucket.create(snapshotKey(head.number), manifest).catch((error) => {
      // What certainly was not stored names nothing.
      if (BucketError.is(error) && error.definite) mayBeNamed = false;
      throw error;
    });
    if (result === 'created') return 'created';
    // A request that was repeated on its way meets its own object, which needs its pieces.
    const there = await readSnapshot(bucket, head.number);
    const [first] = pieces;
    if (there?.pieces[0]?.key === first?.key) return 'created';
    mayBeNamed = false;
    return 'exists';
  } finally {
    await handle.close();
    // What is left here is collected with the snapshots before the next two.
    if (!mayBeNamed) await parallel(stored, AT_ONCE, (key) => bucket.remove(key)).catch(() => {});
  }
}

/** What a snapshot is of, and where it is; undefined where there is none. */
export async function readSnapshot(bucket: Bucket, number: number): Promise<Snapshot | undefined> {
  const body = await bucket.get(snapshotKey(number));
  if (body === undefined) return undefined;
  const name = `the snapshot ${number}`;
  const { content } = await unseal(name, body, { snapshot: MOST_MANIFEST });
  try {
    const snapshot = readManifest(content);
    if (snapshot.number !== number) throw new Error(`it is snapshot ${snapshot.number}`);
    return snapshot;
  } catch (error) {
    throw new DamagedError(`${name} is damaged: ${(error as Error).message}`, { cause: error });
  }
}

/**
 * Fetches a snapshot into a file that is not there yet; it is on the disk when this returns, and
 * not there when it throws. Undefined where the snapshot is gone, since newer ones are there.
 */
export async function fetchSnapshot(
  bucket: Bucket,
  number: number,
  file: string,
  { signal }: SnapshotOptions = {},
): Promise<Snapshot | undefined> {
  const snapshot = await readSnapshot(bucket, number);
  if (snapshot === undefined) return undefined;
  const handle = await open(file, 'wx');
  let whole = false;
  try {
    const fetched = ahead(snapshot.pieces, AT_ONCE, async (piece) => {
      signal?.throwIfAborted();
      const body = await bucket.get(piece.key);
      return body === undefined ? undefined : openPiece(number, piece, body);
    });
    for await (const content of fetched) {
      if (content === undefined) {
        // It was collected between two requests: first what names the pieces, then they.
        if ((await bucket.get(snapshotKey(number))) === undefined) return undefined;
        throw missingPiece(bucket, number);
      }
      await handle.writeFile(content);
    }
    signal?.throwIfAborted();
    await handle.sync();
    whole = true;
    return snapshot;
  } finally {
    await handle.close();
    if (!whole) await rm(file, { force: true });
  }
}

/** Throws a DamagedError where a snapshot has not all its pieces; what is in them is not read. */
export async function checkPieces(bucket: Bucket, { number, pieces }: Snapshot): Promise<void> {
  const missing = new Set(pieces.map(({ key }) => key));
  const prefix = partKey(PIECES, number, '');
  for (let after: string | undefined; missing.size > 0; ) {
    const keys = await bucket.list(prefix, after);
    for (const key of keys) missing.delete(key);
    if (keys.length < MOST_KEYS) break;
    after = keys.at(-1);
  }
  if (missing.size > 0) throw missingPiece(bucket, number);
}

function missingPiece(bucket: Bucket, number: number): DamagedError {
  return new DamagedError(
    `the snapshot ${number} is damaged: a piece of it is missing in ${bucket.where}; does a lifecycle rule delete objects there?`,
  );
}

async function readAt(handle: FileHandle, at: number, length: number): Promise<Uint8Array> {
  const bytes = new Uint8Array(length);
  for (let done = 0; done < length; ) {
    const { bytesRead } = await handle.read(bytes, done, length - done, at + done);
    if (bytesRead === 0) throw new Error('the file became shorter while it was stored');
    done += bytesRead;
  }
  return bytes;
}

async function openPiece(number: number, { key, sha256, bytes }: Piece, body: Uint8Array) {
  const name = `the snapshot ${number}, in ${key},`;
  const { content } = await unseal(name, body, { piece: PIECE_BYTES });
  if (content.length !== bytes || sumOfHead(body).toString('hex') !== sha256) {
    throw new DamagedError(`the snapshot ${number} is damaged: ${key} is not what it was made of`);
  }
  return content;
}

async function sealManifest({ pieces, ...head }: Snapshot): Promise<Uint8Array> {
  const list = pieces.map(({ key, sha256, bytes }) => [key, sha256, bytes]);
  const content = new TextEncoder().encode(JSON.stringify({ ...head, pieces: list }));
  // What could not be read again is not stored.
  readManifest(content);
  return seal('snapshot', content);
}

/** Reads what anybody may have written; throws what is wrong with it. */
function readManifest(content: Uint8Array): Snapshot {
  const json: unknown = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(content));
  const { number, token, sqlite, schema, bytes, pieces } = (json ?? {}) as Partial<Snapshot>;
  if (!isWhole(number, 1, Number.MAX_SAFE_INTEGER)) throw new Error('it has no number');
  if (!isText(token) || !isText(sqlite) || !isText(schema)) throw new Error('it says not of what');
  if (!isWhole(bytes, 0, Number.MAX_SAFE_INTEGER)) throw new Error('it has no size');
  if (!Array.isArray(pieces)) throw new Error('it has no pieces');
  const all = pieces.map((each: unknown): Piece => {
    const [key, sha256, size] = Array.isArray(each) ? (each as unknown[]) : [];
    const own =
      typeof key === 'string' &&
      /^pieces\/\d{20}-[0-9a-f-]{36}$/.test(key) &&
      numberOf(key) === number;
    if (!own || typeof sha256 !== 'string' || !isWhole(size, 1, PIECE_BYTES)) {
      throw new Error('what it says of a piece is wrong');
    }
    return { key, sha256, bytes: size };
  });
  const sum = all.reduce((total, piece) => total + piece.bytes, 0);
  if (sum !== bytes) throw new Error(`its pieces have ${sum} bytes, and it has ${bytes}`);
  return { number, token, sqlite, schema, bytes, pieces: all };
}

function isText(value: unknown): value is string {
  return typeof value === 'string' && value.length <= MOST_TEXT;
}

function isWhole(value: unknown, least: number, most: number): value is number {
  return Number.isSafeInteger(value) && (value as number) >= least && (value as number) <= most;
}
