import type { Entry, Part } from './entry.js';
import { numberOf, SEGMENTS } from './keys.js';

/** An object that holds a part of an entry's bytes. */
export interface Segment {
  readonly key: string;
  /** Of the object, as its envelope has it, in hexadecimal digits. */
  readonly sha256: string;
  /** The bytes in it, not compressed. */
  readonly bytes: number;
}

/** What is said of a part beside its bytes. */
export interface PartSize {
  readonly type: Part['type'];
  readonly bytes: number;
}

/** All of an entry but the bytes of its parts. */
export interface EntryHead extends Omit<Entry, 'parts'> {
  readonly parts: readonly PartSize[];
  /** Where these bytes are, in order; none where they follow the head. */
  readonly segments: readonly Segment[];
}

/** The most bytes of all parts of one entry. */
export const MOST_ENTRY_BYTES = 1024 ** 3;
/** The most bytes in one segment. */
export const SEGMENT_BYTES = 8 * 1024 * 1024;
/** The most bytes of a head: idempotency keys and names of tables are most of it. */
export const MOST_HEAD_BYTES = 4 * 1024 * 1024;

const MOST_ITEMS = 100_000;
const MOST_TEXT = 4096;
const LEAST_INT64 = -(2n ** 63n);
const MOST_INT64 = 2n ** 63n - 1n;

type Json = Readonly<Record<string, unknown>>;

/** The head as JSON. What it could not be read from again is refused with a RangeError. */
export function writeHead(head: EntryHead): Uint8Array {
  const { parts, segments, sequences, ...rest } = head;
  const text = JSON.stringify({
    ...rest,
    parts: parts.map(({ type, bytes }) => [type, bytes]),
    segments: segments.map(({ key, sha256, bytes }) => [key, sha256, bytes]),
    // In digits, since a JSON number holds 53 bits of the 64.
    sequences: sequences.map(([table, value]) => [table, String(value)]),
  });
  const bytes = new TextEncoder().encode(text);
  if (bytes.length > MOST_HEAD_BYTES) {
    throw new RangeError(`the head of a log entry has ${bytes.length} bytes: too many`);
  }
  try {
    readHead(bytes);
  } catch (error) {
    throw new RangeError(`cannot be a log entry: ${(error as Error).message}`, { cause: error });
  }
  return bytes;
}

/** Reads a head that anybody may have written; throws what is wrong with it. */
export function readHead(bytes: Uint8Array): EntryHead {
  const json = object(JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes)), 'it');
  const number = whole(json.number, 1, Number.MAX_SAFE_INTEGER, 'number');
  const parts = list(json.parts, 'parts').map((each): PartSize => {
    const [type, size] = list(each, 'a part', 2);
    if (type !== 'changes' && type !== 'ddl' && type !== 'snapshot') {
      throw new Error(`there is no part of type ${JSON.stringify(type)?.slice(0, 40)}`);
    }
    return { type, bytes: whole(size, 0, MOST_ENTRY_BYTES, 'the size of a part') };
  });
  if (parts.length > 1 && parts.some(({ type }) => type === 'snapshot')) {
    throw new Error('a part that is a snapshot is the only one');
  }
  const segments = list(json.segments, 'segments').map((each) => segment(each, number));
  const total = parts.reduce((sum, part) => sum + part.bytes, 0);
  if (total > MOST_ENTRY_BYTES) throw new Error(`its parts have ${total} bytes: too many`);
  const held = segments.reduce((sum, part) => sum + part.bytes, 0);
  if (segments.length > 0 && held !== total) {
    throw new Error(`its parts have ${total} bytes, and its segments ${held}`);
  }
  const head: EntryHead = {
    number,
    token: text(json.token, 1, 'token'),
    previous: text(json.previous, 0, 'previous'),
    sqlite: text(json.sqlite, 0, 'sqlite'),
    schema: text(json.schema, 0, 'schema'),
    parts,
    segments,
    sequences: list(json.sequences, 'sequences').map((each) => {
      const [table, value] = list(each, 'a sequence', 2);
      return [text(table, 0, 'the table of a sequence'), int64(value)];
    }),
    requests: list(json.requests, 'requests').map((each) => text(each, 0, 'a request')),
  };
  const { userVersion, applicationId } = json;
  if (userVersion !== undefined) head.userVersion = int32(userVersion, 'userVersion');
  if (applicationId !== undefined) head.applicationId = int32(applicationId, 'applicationId');
  return head;
}

function segment(value: unknown, number: number): Segment {
  const [key, sha256, bytes] = list(value, 'a segment', 3);
  const name = text(key, 1, 'the key of a segment');
  if (!/^segments\/\d{20}-[0-9a-f-]{36}$/.test(name) || numberOf(name) !== number) {
    throw new Error(`${JSON.stringify(name)} is no key of a segment of its own (${SEGMENTS}…)`);
  }
  const sum = text(sha256, 64, 'the checksum of a segment');
  if (!/^[0-9a-f]{64}$/.test(sum)) throw new Error('the checksum of a segment is none');
  return { key: name, sha256: sum, bytes: whole(bytes, 1, SEGMENT_BYTES, 'the size of a segment') };
}

function object(value: unknown, name: string): Json {
  if (typeof value !== 'object' || value === null) throw new Error(`${name} is no object`);
  return value as Json;
}

function list(value: unknown, name: string, length?: number): readonly unknown[] {
  if (!Array.isArray(value) || value.length > MOST_ITEMS) throw new Error(`${name} is no list`);
  if (length !== undefined && value.length !== length) {
    throw new Error(`${name} has ${value.length} items, not ${length}`);
  }
  return value;
}

function text(value: unknown, least: number, name: string): string {
  if (typeof value === 'string' && value.length >= least && value.length <= MOST_TEXT) return value;
  throw new Error(`${name} is no text of ${least} to ${MOST_TEXT} characters`);
}

function whole(value: unknown, least: number, most: number, name: string): number {
  if (Number.isSafeInteger(value) && (value as number) >= least && (value as number) <= most) {
    return value as number;
  }
  throw new Error(`${name} is no whole number from ${least} to ${most}`);
}

function int32(value: unknown, name: string): number {
  return whole(value, -(2 ** 31), 2 ** 31 - 1, name);
}

/** A number where that holds it. */
function int64(value: unknown): number | bigint {
  if (typeof value !== 'string' || !/^-?\d{1,19}$/.test(value)) {
    throw new Error('the value of a sequence is no integer');
  }
  const integer = BigInt(value);
  if (integer < LEAST_INT64 || integer > MOST_INT64) {
    throw new Error('the value of a sequence has more than 64 bits');
  }
  const number = Number(integer);
  return Number.isSafeInteger(number) ? number : integer;
}
