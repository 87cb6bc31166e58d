import { createHash, webcrypto } from 'node:crypto';
import { promisify } from 'node:util';
import { deflateRaw, inflateRaw } from 'node:zlib';

/**
 * What every object of the log is wrapped in. Who may write to the bucket may write anything, and
 * disks and programs damage what they keep; so nothing is looked into before its SHA-256 is right,
 * and nothing becomes larger than its kind may be.
 *
 * | at | bytes | what |
 * | --- | --- | --- |
 * | 0 | 8 | the kind |
 * | 8 | 1 | the version of the format |
 * | 9 | 1 | 1: the content is compressed (raw deflate, which every Node.js has) |
 * | 10 | 6 | zeros |
 * | 16 | 8 | the length of the content |
 * | 24 | 32 | SHA-256 of the 24 bytes before it and of the SHA-256 of what follows |
 * | 56 | | the content |
 */
const HEAD = 24;
const SUM = 32;
const START = HEAD + SUM;
const VERSION = 1;

/** The first eight bytes of each kind of object. */
const MAGIC = {
  entry: 'PLTENTRY',
  tombstone: 'PLTTOMBS',
  segment: 'PLTSEGMT',
  snapshot: 'PLTSNAPS',
  piece: 'PLTPIECE',
} as const;

/** A kind of object. */
export type Kind = keyof typeof MAGIC;

/** What a larger content costs to sum up is not spent on the calling thread. */
const LEAST_ELSEWHERE = 64 * 1024;
/** Less than this is stored as it is. */
const LEAST_COMPRESSED = 256;
/** Fast, and close to the best on what changesets and pages hold. */
const LEVEL = 3;

const deflate = promisify(deflateRaw);
const inflate = promisify(inflateRaw);

/** An object of the log that is not what was stored, or that nobody of this package has stored. */
export class DamagedError extends Error {
  constructor(message: string, options?: { cause?: unknown }) {
    super(message, options);
  }
}

Object.defineProperty(DamagedError.prototype, 'name', {
  value: 'DamagedError',
  configurable: true,
});

/** An object of a format that a newer version of this package writes. */
export class FormatError extends DamagedError {}

/** Wraps a content, compressed where that pays. */
export async function seal(kind: Kind, content: Uint8Array): Promise<Uint8Array> {
  const packed = await compressed(content);
  const payload = packed ?? content;
  const body = new Uint8Array(START + payload.length);
  const head = Buffer.from(body.buffer, 0, HEAD);
  head.write(MAGIC[kind], 'latin1');
  head[8] = VERSION;
  head[9] = packed === undefined ? 0 : 1;
  head.writeBigUInt64LE(BigInt(content.length), 16);
  body.set(payload, START);
  body.set(await sumOf(body), HEAD);
  return body;
}

/** What is in an object, and which kind it is of. */
export interface Opened {
  readonly kind: Kind;
  readonly content: Uint8Array;
}

/**
 * Unwraps an object; `most` says how large the content of each kind that may be there can be. What
 * is wrong throws a DamagedError that begins with `name`; what is of a newer format, a FormatError.
 */
export async function unseal(
  name: string,
  body: Uint8Array,
  most: Readonly<Partial<Record<Kind, number>>>,
): Promise<Opened> {
  const damaged = (why: string, cause?: unknown) =>
    new DamagedError(`${name} is damaged: ${why}`, cause === undefined ? {} : { cause });
  if (body.length < START) throw damaged(`it has ${body.length} bytes`);
  const head = Buffer.from(body.buffer, body.byteOffset, HEAD);
  const magic = head.toString('latin1', 0, 8);
  const kind = (Object.keys(most) as Kind[]).find((each) => MAGIC[each] === magic);
  if (kind === undefined) throw damaged('it does not begin as one does');
  if (head[8] !== VERSION) {
    throw new FormatError(
      `${name} is in format ${head[8]}, and this version of @poolite/store reads format ${VERSION}: update the package on this machine`,
    );
  }
  if (!sumOfHead(body).equals(await sumOf(body))) throw damaged('its checksum is wrong');
  const length = Number(head.readBigUInt64LE(16));
  const limit = most[kind] ?? 0;
  if (length > limit) throw damaged(`it claims to hold ${length} bytes, and may hold ${limit}`);
  const payload = body.subarray(START);
  let content = payload;
  if (head[9] === 1) {
    try {
      content = await inflate(payload, { maxOutputLength: Math.max(1, length) });
    } catch (error) {
      throw damaged((error as Error).message, error);
    }
  } else if (head[9] !== 0) throw damaged(`it is compressed in way ${head[9]}`);
  if (content.length !== length) {
    throw damaged(`it holds ${content.length} bytes, and should hold ${length}`);
  }
  return { kind, content };
}

/** The SHA-256 by which whoever names an object says which one it must be. */
export function sumOfHead(body: Uint8Array): Buffer {
  return Buffer.from(body.buffer, body.byteOffset + HEAD, SUM);
}

async function compressed(content: Uint8Array): Promise<Uint8Array | undefined> {
  if (content.length < LEAST_COMPRESSED) return undefined;
  const packed = await deflate(content, { level: LEVEL });
  return packed.length < content.length - content.length / 8 ? packed : undefined;
}

async function sumOf(body: Uint8Array): Promise<Uint8Array> {
  const payload = body.subarray(START);
  const inner =
    payload.length < LEAST_ELSEWHERE
      ? createHash('sha256').update(payload).digest()
      : new Uint8Array(
          await webcrypto.subtle.digest('SHA-256', payload as Uint8Array<ArrayBuffer>),
        );
  return createHash('sha256').update(body.subarray(0, HEAD)).update(inner).digest();
}
