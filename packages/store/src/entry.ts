import { randomUUID } from 'node:crypto';
import { blocks, Cutter } from './blocks.js';
import {
  type EntryHead,
  MOST_HEAD_BYTES,
  readHead,
  SEGMENT_BYTES,
  type Segment,
  writeHead,
} from './entry-head.js';
import { DamagedError, seal, sumOfHead, unseal } from './envelope.js';
import { partKey, SEGMENTS } from './keys.js';
import { ahead, parallel } from './parallel.js';

/** What one step of an entry does. */
export type Part =
  /** Rows that were changed, as SQLite's session extension writes them. */
  | { type: 'changes'; bytes: Uint8Array }
  /** A statement that changes the schema. */
  | { type: 'ddl'; sql: string }
  /** The whole database, as `serialize()` gives it. */
  | { type: 'snapshot'; bytes: Uint8Array };

/** One step of the log: what one commit did. */
export interface Entry {
  /** Its place in the log, from 1. */
  number: number;
  /** What tells it from any other that was meant for the same place. */
  token: string;
  /** The token of entry `number - 1`; '' for the first. */
  previous: string;
  /** The version of SQLite that made it. */
  sqlite: string;
  /** The hash of the schema after it. */
  schema: string;
  /** In order; a part `snapshot` is the only one. */
  parts: Part[];
  /** The rows of `sqlite_sequence` that it changed, as they are after it. */
  sequences: [table: string, value: number | bigint][];
  /** `PRAGMA user_version` after it, where it changed. */
  userVersion?: number;
  /** `PRAGMA application_id` after it, where it changed. */
  applicationId?: number;
  /** The idempotency keys that it answers. */
  requests: string[];
}

/** What is left of an entry that only a snapshot holds: which one it was. */
export interface Tombstone {
  readonly number: number;
  /** The token of the entry that was here, so that whoever made it still learns that it was theirs. */
  readonly token: string;
}

/** Stores the object of one segment, or fetches it; undefined where there is none. */
export type StoreSegment = (key: string, body: Uint8Array) => Promise<void>;
export type FetchSegment = (key: string) => Promise<Uint8Array | undefined>;

/** Parts with more bytes than this in all are kept in segments. */
export const MOST_INLINE_BYTES = 256 * 1024;
/** Segments under way at once: so many are in memory, twice. */
const SEGMENTS_AT_ONCE = 4;
const MOST_CONTENT = 4 + MOST_HEAD_BYTES + MOST_INLINE_BYTES;
const MOST_TOMBSTONE = 64 * 1024;

/**
 * An entry as the bytes of its object; what is too large for it goes to segments, which are stored
 * before it returns. A RangeError says that no entry can hold it: a text or a list is too long, or
 * all parts have more than 1 GiB.
 */
export async function encodeEntry(entry: Entry, store: StoreSegment): Promise<Uint8Array> {
  const { parts, ...rest } = entry;
  const pieces = parts.map((part) =>
    part.type === 'ddl' ? new TextEncoder().encode(part.sql) : part.bytes,
  );
  const sizes = parts.map(({ type }, at) => ({ type, bytes: (pieces[at] as Uint8Array).length }));
  const total = sizes.reduce((sum, { bytes }) => sum + bytes, 0);
  // Refuses what cannot be read again before anything is stored.
  const head = writeHead({ ...rest, parts: sizes, segments: [] });
  if (total <= MOST_INLINE_BYTES) {
    const length = new Uint8Array(4);
    new DataView(length.buffer).setUint32(0, head.length, true);
    return seal('entry', Buffer.concat([length, head, ...pieces]));
  }
  const segments = await parallel(
    blocks(pieces, SEGMENT_BYTES),
    SEGMENTS_AT_ONCE,
    async (content): Promise<Segment> => {
      const key = partKey(SEGMENTS, entry.number, randomUUID());
      const body = await seal('segment', content);
      await store(key, body);
      return { key, sha256: sumOfHead(body).toString('hex'), bytes: content.length };
    },
  );
  const full = writeHead({ ...rest, parts: sizes, segments });
  const length = new Uint8Array(4);
  new DataView(length.buffer).setUint32(0, full.length, true);
  return seal('entry', Buffer.concat([length, full]));
}

/** The object that takes the place of an entry. */
export function encodeTombstone({ number, token }: Tombstone): Promise<Uint8Array> {
  return seal('tombstone', new TextEncoder().encode(JSON.stringify({ number, token })));
}

/** What an object of the log is: an entry, whose segments were not fetched yet, or a tombstone. */
export type LogObject =
  | { readonly type: 'entry'; readonly head: EntryHead; readonly inline: Uint8Array }
  | ({ readonly type: 'tombstone' } & Tombstone);

/** Reads the object of an entry; a DamagedError says `the log entry N is damaged: …`. */
export async function openEntry(number: number, body: Uint8Array): Promise<LogObject> {
  const name = `the log entry ${number}`;
  const { kind, content } = await unseal(name, body, {
    entry: MOST_CONTENT,
    tombstone: MOST_TOMBSTONE,
  });
  try {
    const found = kind === 'tombstone' ? readTombstone(content) : readEntry(content);
    const own = found.type === 'tombstone' ? found.number : found.head.number;
    if (own !== number) throw new Error(`it is entry ${own}`);
    return found;
  } catch (error) {
    throw new DamagedError(`${name} is damaged: ${(error as Error).message}`, { cause: error });
  }
}

/** The whole entry, or undefined where one of its segments is gone. */
export async function fillEntry(
  { head, inline }: Extract<LogObject, { type: 'entry' }>,
  fetch: FetchSegment,
): Promise<Entry | undefined> {
  const name = `the log entry ${head.number}`;
  const { segments, parts, ...rest } = head;
  const sizes = parts.map(({ bytes }) => bytes);
  const cutter = new Cutter(sizes);
  cutter.add(inline);
  let gone = false;
  // Read in order, some ahead: what has arrived is copied to its place and let go.
  const fetched = ahead(segments, SEGMENTS_AT_ONCE, async (segment) => {
    const body = await fetch(segment.key);
    return body === undefined ? undefined : openSegment(name, segment, body);
  });
  for await (const content of fetched) {
    if (content === undefined) gone = true;
    else if (!gone) cutter.add(content);
  }
  if (gone) return undefined;
  const pieces = cutter.end();
  return { ...rest, parts: parts.map(({ type }, at) => partOf(name, type, pieces[at])) };
}

async function openSegment(name: string, { key, sha256, bytes }: Segment, body: Uint8Array) {
  const { content } = await unseal(`${name}, in ${key},`, body, { segment: SEGMENT_BYTES });
  if (content.length !== bytes || sumOfHead(body).toString('hex') !== sha256) {
    throw new DamagedError(`${name} is damaged: ${key} is not what it was made with`);
  }
  return content;
}

function partOf(name: string, type: Part['type'], bytes: Uint8Array = new Uint8Array()): Part {
  if (type !== 'ddl') return { type, bytes };
  try {
    return { type, sql: new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes) };
  } catch (cause) {
    throw new DamagedError(`${name} is damaged: a statement in it is no text`, { cause });
  }
}

function readTombstone(content: Uint8Array): LogObject {
  const json: unknown = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(content));
  const { number, token } = (json ?? {}) as Partial<Tombstone>;
  if (typeof number !== 'number' || typeof token !== 'string') throw new Error('it says nothing');
  return { type: 'tombstone', number, token };
}

function readEntry(content: Uint8Array): LogObject {
  if (content.length < 4) throw new Error('it has no head');
  const length = new DataView(content.buffer, content.byteOffset).getUint32(0, true);
  if (length > content.length - 4) throw new Error('its head is longer than it is');
  const head = readHead(content.subarray(4, 4 + length));
  const inline = content.subarray(4 + length);
  const total = head.parts.reduce((sum, { bytes }) => sum + bytes, 0);
  const wanted = head.segments.length > 0 ? 0 : total;
  if (inline.length !== wanted) {
    throw new Error(`${inline.length} bytes follow its head, not ${wanted}`);
  }
  return { type: 'entry', head, inline };
}
