import { randomInt } from 'node:crypto';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type Entry, encodeEntry, encodeTombstone, fillEntry, openEntry } from '../src/entry.js';
import { DamagedError, seal } from '../src/envelope.js';
import { anyEntry, entryOf } from './support/entries.js';

const seed = Number(process.env.ENTRY_SEED ?? randomInt(2 ** 31));
console.log(`the seed of the entries' tests is ${seed}`);

const noStore = async () => {
  throw new Error('there is nothing to store');
};

async function decode(number: number, body: Uint8Array): Promise<Entry | string | undefined> {
  const found = await openEntry(number, body);
  return found.type === 'tombstone' ? found.token : fillEntry(found, async () => undefined);
}

/** What came of bytes that are no entry; whatever else is thrown fails the test. */
async function refusal(number: number, body: Uint8Array): Promise<string | undefined> {
  try {
    await decode(number, body);
    return undefined;
  } catch (error) {
    if (!(error instanceof DamagedError)) throw error;
    return error.message;
  }
}

test('entries come back as they went', async () => {
  await fc.assert(
    fc.asyncProperty(anyEntry, async (entry) => {
      const body = await encodeEntry(entry, noStore);
      expect(await decode(entry.number, body)).toStrictEqual(entry);
      // From a piece of memory that holds other things too.
      const inside = new Uint8Array(body.length + 10).fill(9);
      inside.set(body, 3);
      const view = inside.subarray(3, 3 + body.length);
      expect(await decode(entry.number, view)).toStrictEqual(entry);
    }),
    { seed, numRuns: 150 },
  );
});

test('each array of an entry has memory of its own, which can be handed to a thread', async () => {
  await fc.assert(
    fc.asyncProperty(anyEntry, async (entry) => {
      const body = await encodeEntry(entry, noStore);
      const back = (await decode(entry.number, body)) as Entry;
      const arrays = back.parts.flatMap((part) => (part.type === 'ddl' ? [] : [part.bytes]));
      const buffers = arrays.map(({ buffer }) => buffer);
      expect(new Set(buffers).size).toBe(buffers.length);
      structuredClone(back, { transfer: buffers as ArrayBuffer[] });
      for (const { length } of arrays) expect(length).toBe(0);
    }),
    { seed, numRuns: 100 },
  );
});

test('an entry of which one bit is wrong is refused, wherever it is', async () => {
  await fc.assert(
    fc.asyncProperty(anyEntry, fc.nat(), async (entry, any) => {
      const body = await encodeEntry(entry, noStore);
      const bit = any % (body.length * 8);
      const at = bit >> 3;
      body[at] = (body[at] as number) ^ (1 << (bit & 7));
      expect(await refusal(entry.number, body)).toContain(`the log entry ${entry.number} is `);
    }),
    { seed, numRuns: 200 },
  );
  // All bits of one.
  const body = await encodeEntry(entryOf(7), noStore);
  for (let bit = 0; bit < body.length * 8; bit++) {
    const wrong = body.slice();
    wrong[bit >> 3] = (wrong[bit >> 3] as number) ^ (1 << (bit & 7));
    expect(await refusal(7, wrong), `bit ${bit}`).toBeDefined();
  }
});

test('an entry that is cut off, or has something behind it, is refused', async () => {
  const body = await encodeEntry(entryOf(7), noStore);
  for (let length = 0; length < body.length; length++) {
    expect(await refusal(7, body.subarray(0, length)), `${length} bytes`).toBeDefined();
  }
  expect(await refusal(7, Buffer.concat([body, new Uint8Array(1)]))).toBeDefined();
});

test('any bytes are refused, with any beginning', async () => {
  const starts = ['', 'PLTENTRY', 'PLTTOMBS', 'PLTENTRY\u0001\u0000', 'PLTENTRY\u0001\u0001'];
  await fc.assert(
    fc.asyncProperty(fc.constantFrom(...starts), fc.uint8Array(), async (start, bytes) => {
      const body = Buffer.concat([Buffer.from(start, 'latin1'), bytes]);
      expect(await refusal(1, body)).toBeDefined();
    }),
    { seed, numRuns: 1000 },
  );
});

test('any content in a sound envelope is an entry or is refused', async () => {
  const json = fc.oneof(fc.json(), fc.constantFrom('null', '[]', '{"__proto__":{"token":"x"}}'));
  const content = fc.oneof(
    fc.uint8Array(),
    fc.tuple(fc.nat({ max: 300 }), json).map(([length, text]) => {
      const bytes = Buffer.from(text);
      const head = Buffer.alloc(4);
      head.writeUInt32LE(length > 200 ? length : bytes.length);
      return Buffer.concat([head, bytes]);
    }),
  );
  await fc.assert(
    fc.asyncProperty(content, fc.boolean(), async (bytes, tomb) => {
      const body = await seal(tomb ? 'tombstone' : 'entry', bytes);
      expect(await refusal(1, body)).toBeDefined();
      expect(({} as { token?: string }).token).toBeUndefined();
    }),
    { seed, numRuns: 500 },
  );
});

/** The head of an entry with one field that is not as it must be. */
const fields: readonly [name: string, value: unknown, says: string][] = [
  ['number', 0, 'number'],
  ['number', 1.5, 'number'],
  ['number', '1', 'number'],
  ['number', 2, 'it is entry 2'],
  ['token', '', 'token'],
  ['token', 7, 'token'],
  ['token', 'x'.repeat(5000), 'token'],
  ['previous', null, 'previous'],
  ['sqlite', undefined, 'sqlite'],
  ['schema', {}, 'schema'],
  ['parts', {}, 'parts'],
  ['parts', [['changes']], 'a part has 1 items'],
  ['parts', [['other', 0]], 'no part of type "other"'],
  ['parts', [['changes', -1]], 'the size of a part'],
  ['parts', [['changes', 2 ** 40]], 'the size of a part'],
  ['parts', [['changes', 1]], '0 bytes follow its head, not 1'],
  [
    'parts',
    [
      ['snapshot', 0],
      ['changes', 0],
    ],
    'a part that is a snapshot is the only one',
  ],
  [
    'parts',
    [
      ['changes', 2 ** 30],
      ['changes', 2 ** 30],
    ],
    'too many',
  ],
  ['segments', [['log/00000000000000000001', 'a'.repeat(64), 1]], 'no key of a segment'],
  ['segments', [['segments/../../etc/passwd', 'a'.repeat(64), 1]], 'no key of a segment'],
  [
    'segments',
    [[`segments/00000000000000000002-${'a'.repeat(36)}`, 'a'.repeat(64), 1]],
    'no key of a segment of its own',
  ],
  [
    'segments',
    [[`segments/00000000000000000001-${'a'.repeat(36)}`, 'z'.repeat(64), 1]],
    'the checksum of a segment is none',
  ],
  [
    'segments',
    [[`segments/00000000000000000001-${'a'.repeat(36)}`, 'a'.repeat(64), 2 ** 30]],
    'the size of a segment',
  ],
  [
    'segments',
    [[`segments/00000000000000000001-${'a'.repeat(36)}`, 'a'.repeat(64), 1]],
    'its parts have 0 bytes, and its segments 1',
  ],
  ['sequences', [['t', 1]], 'the value of a sequence is no integer'],
  ['sequences', [['t', '9223372036854775808']], 'more than 64 bits'],
  ['sequences', [['t', '1e3']], 'the value of a sequence is no integer'],
  ['requests', [1], 'a request'],
  ['requests', 'x', 'requests'],
  ['userVersion', 2 ** 31, 'userVersion'],
  ['applicationId', '1', 'applicationId'],
];

test.each(fields)('%s must not be %j: %s', async (name, value, says) => {
  const whole = {
    number: 1,
    token: 't',
    previous: '',
    sqlite: '',
    schema: '',
    parts: [],
    segments: [],
    sequences: [],
    requests: [],
  };
  const head = Buffer.from(JSON.stringify({ ...whole, [name]: value }));
  const length = Buffer.alloc(4);
  length.writeUInt32LE(head.length);
  const body = await seal('entry', Buffer.concat([length, head]));
  const message = await refusal(1, body);
  expect(message).toMatch(/^the log entry 1 is damaged: /);
  expect(message).toContain(says);
});

test('an object that claims to hold more than it may is refused before it is unpacked', async () => {
  const body = await seal('entry', new Uint8Array(20 * 1024 * 1024));
  expect(body.length).toBeLessThan(1024 * 1024);
  expect(await refusal(1, body)).toMatch(/claims to hold 20971520 bytes, and may hold \d+/);
});

test('an entry of another format says that the package is too old', async () => {
  const body = await encodeEntry(entryOf(3), noStore);
  body[8] = 2;
  expect(await refusal(3, body)).toMatch(/^the log entry 3 is in format 2, .* update the package/);
});

test('an entry under another number is refused', async () => {
  const body = await encodeEntry(entryOf(3), noStore);
  expect(await refusal(4, body)).toBe('the log entry 4 is damaged: it is entry 3');
});

test('a tombstone says which entry was there', async () => {
  const body = await encodeTombstone({ number: 3, token: 'whose' });
  expect(await openEntry(3, body)).toEqual({ type: 'tombstone', number: 3, token: 'whose' });
  expect(await refusal(4, body)).toBe('the log entry 4 is damaged: it is entry 3');
});

test.each([
  ['a text that is too long', { token: 'x'.repeat(5000) }, 'token is no text of 1 to 4096'],
  ['a number that is none', { number: 0 }, 'number is no whole number'],
  ['too many idempotency keys', { requests: new Array(5000).fill('x'.repeat(1000)) }, 'too many'],
])('what could not be read again is not written: %s', async (_what, wrong, says) => {
  const encoded = encodeEntry(entryOf(1, wrong), noStore);
  await expect(encoded).rejects.toThrow(RangeError);
  await expect(encoded).rejects.toThrow(says);
});
