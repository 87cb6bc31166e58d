import type { BindInput } from '@poolite/core';
import fc from 'fast-check';

const integer = fc.oneof(
  fc.integer({ min: -3, max: 6 }),
  fc.integer(),
  fc.maxSafeInteger(),
  fc.constantFrom(2 ** 31 - 1, 2 ** 31, -(2 ** 31), -(2 ** 31) - 1, 2 ** 53, 2 ** 53 + 2, 2 ** 63),
);

const float = fc.oneof(
  fc.double(),
  fc.constantFrom(-0, 0.5, Number.NaN, Infinity, -Infinity, 5e-324, 1e308),
);

const bigint = fc.oneof(
  fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
  fc.constantFrom(0n, 1n, -1n, 2n ** 31n, 2n ** 53n, 2n ** 53n + 1n, -(2n ** 53n) - 1n),
);

export const text = fc.oneof(
  fc.string({ maxLength: 8 }),
  fc.string({ unit: 'binary', maxLength: 8 }),
  fc.constantFrom('', '\0', 'a\0b', '\uD800', '\uDC00x', '😀', '12', ' 7 ', '1e5', '0x10', '-0'),
  fc.constantFrom('9223372036854775808', 'NaN', '{"a":[1,2.5,"x"]}', "it's", 'ÄÖ', '\uFEFFx'),
);

/** Bytes, some of them a window on a larger buffer, as Node's own small Buffers are. */
export const blob = fc
  .tuple(fc.uint8Array({ maxLength: 6 }), fc.constantFrom('Uint8Array', 'Buffer', 'window', 'pool'))
  .map(([bytes, kind]): Uint8Array => {
    if (kind === 'Uint8Array') return bytes;
    if (kind === 'Buffer') return Buffer.from(Uint8Array.from(bytes).buffer);
    if (kind === 'pool') return Buffer.from(bytes);
    const around = new Uint8Array(bytes.length + 9).fill(0xcc);
    around.set(bytes, 4);
    return around.subarray(4, 4 + bytes.length);
  });

/** What can be bound, some of it with an error of better-sqlite3's own. */
export const value: fc.Arbitrary<BindInput> = fc.oneof(
  { arbitrary: fc.constant(null), weight: 2 },
  { arbitrary: integer, weight: 5 },
  { arbitrary: float, weight: 3 },
  { arbitrary: bigint, weight: 3 },
  { arbitrary: fc.constantFrom(2n ** 63n, -(2n ** 63n) - 1n, 2n ** 200n), weight: 1 },
  { arbitrary: text, weight: 5 },
  { arbitrary: blob, weight: 3 },
);

/** A copy that shares no memory. */
export function copyOf(given: BindInput): BindInput {
  return given instanceof Uint8Array ? Uint8Array.from(given) : given;
}
