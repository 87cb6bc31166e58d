import { randomUUID } from 'node:crypto';
import fc from 'fast-check';
import type { Entry, Part } from '../../src/entry.js';

/** An entry of one small changeset. */
export function entryOf(number: number, fields: Partial<Entry> = {}): Entry {
  return {
    number,
    token: randomUUID(),
    previous: number === 1 ? '' : 'the one before',
    sqlite: '3.51.3',
    schema: 'a hash',
    parts: [{ type: 'changes', bytes: new Uint8Array([1, 2, 3]) }],
    sequences: [],
    requests: [],
    ...fields,
  };
}

/** Code units of any kind, halves of pairs among them, which JSON keeps and UTF-8 does not. */
const text = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 40 }),
  fc.array(fc.integer({ min: 0, max: 0xffff }), { maxLength: 20 }).map((units) => {
    return String.fromCharCode(...units);
  }),
  fc.constantFrom('__proto__', 'constructor', '\u0000', '\ufeff', ''),
);
const bytes = fc.oneof(
  fc.uint8Array({ maxLength: 2000 }),
  // What compresses well, and what is larger than a block.
  fc.nat({ max: 40_000 }).map((length) => new Uint8Array(length).fill(7)),
);
const part: fc.Arbitrary<Part> = fc.oneof(
  bytes.map((each): Part => ({ type: 'changes', bytes: each })),
  fc.string({ unit: 'grapheme', maxLength: 500 }).map((sql): Part => ({ type: 'ddl', sql })),
);
const parts = fc.oneof(
  fc.array(part, { maxLength: 8 }),
  bytes.map((each): Part[] => [{ type: 'snapshot', bytes: each }]),
);
const int32 = fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 });
const sequence = fc
  .oneof(fc.maxSafeInteger(), fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }))
  // As they are read: a bigint only where a number does not hold it.
  .map((value) => (Number.isSafeInteger(Number(value)) ? Number(value) + 0 : value));

/** Entries of any kind. */
export const anyEntry: fc.Arbitrary<Entry> = fc.record(
  {
    number: fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER }),
    token: text.filter((each) => each !== ''),
    previous: text,
    sqlite: text,
    schema: text,
    parts,
    sequences: fc.array(fc.tuple(text, sequence), { maxLength: 5 }),
    userVersion: int32,
    applicationId: int32,
    requests: fc.array(text, { maxLength: 10 }),
  },
  {
    requiredKeys: [
      'number',
      'token',
      'previous',
      'sqlite',
      'schema',
      'parts',
      'sequences',
      'requests',
    ],
    noNullPrototype: true,
  },
);
