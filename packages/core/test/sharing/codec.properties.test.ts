import { randomInt } from 'node:crypto';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { FrameReader, frame } from '../../src/sharing/frames.js';
import { decode, Encoder, NotAValue } from '../../src/threads/codec.js';

const seed = Number(process.env.WIRE_SEED ?? randomInt(2 ** 31));
console.log(`the seed of the codec's tests is ${seed}`);

function encoded(value: unknown): Buffer {
  const encoder = new Encoder();
  encoder.write(value);
  return encoder.take();
}

const scalar = fc.oneof(
  fc.constant(null),
  fc.constant(undefined),
  fc.boolean(),
  fc.integer(),
  fc.maxSafeInteger(),
  fc.double(),
  fc.constantFrom(
    0,
    -0,
    223,
    224,
    -1,
    63,
    64,
    -64,
    Number.MAX_SAFE_INTEGER,
    Number.MIN_SAFE_INTEGER,
  ),
  fc.bigInt({ min: -(2n ** 70n), max: 2n ** 70n }),
  fc.string({ unit: 'binary' }),
  // Any code units, halves of pairs among them.
  fc.array(fc.integer({ min: 0, max: 0xffff })).map((units) => String.fromCharCode(...units)),
  fc.string({ minLength: 30, maxLength: 300 }),
  fc.uint8Array(),
  fc.int32Array(),
  fc.float64Array(),
);
const value = fc.letrec((tie) => ({
  value: fc.oneof(
    { depthSize: 'small', maxDepth: 4 },
    scalar,
    fc.array(tie('value')),
    fc.dictionary(fc.oneof(fc.string(), fc.constant('__proto__')), tie('value'), {
      noNullPrototype: true,
    }),
  ),
})).value;

test('values come back as they went', () => {
  fc.assert(
    fc.property(value, (given) => {
      const back = decode(encoded(given));
      // Which a Buffer is too: it is a Uint8Array that comes back.
      expect(back).toStrictEqual(given);
    }),
    { seed, numRuns: 500 },
  );
});

test('bytes that are cut off, changed, or anybody else’s are no value, or make a plain one', () => {
  const bytes = fc.oneof(
    fc.uint8Array({ maxLength: 300 }),
    fc
      .tuple(value, fc.nat(), fc.array(fc.tuple(fc.nat(), fc.nat(255))))
      .map(([given, cut, changes]) => {
        const all = encoded(given);
        for (const [at, byte] of changes) if (all.length > 0) all[at % all.length] = byte;
        return all.subarray(0, cut % (all.length + 1));
      }),
  );
  fc.assert(
    fc.property(bytes, (given) => {
      let back: unknown;
      try {
        back = decode(Buffer.from(given));
      } catch (error) {
        expect(error).toBeInstanceOf(NotAValue);
        return;
      }
      // Whatever it is, it can be sent again: nothing of an unknown kind was made.
      encoded(back);
    }),
    { seed, numRuns: 2000 },
  );
});

test('lengths that promise more than is there take no memory', () => {
  for (const tag of [7, 8, 9, 10, 11, 12, 13]) {
    const huge = Buffer.from([tag, 255, 255, 255, 255, 255, 255, 127]);
    expect(() => decode(huge), String(tag)).toThrow(NotAValue);
  }
  const deep = Buffer.from(Array.from({ length: 100 }, () => [10, 1]).flat());
  expect(() => decode(deep)).toThrow('too deep');
});

test('frames come out whole, however the stream is cut', () => {
  fc.assert(
    fc.property(
      fc.array(value, { minLength: 1 }),
      fc.array(fc.integer({ min: 1, max: 50 })),
      (values, cuts) => {
        const stream = Buffer.concat(values.map((each) => frame(each)));
        const reader = new FrameReader();
        reader.longest = stream.length;
        const back: unknown[] = [];
        let at = 0;
        for (let i = 0; at < stream.length; i++) {
          const step = cuts.length === 0 ? stream.length : (cuts[i % cuts.length] as number);
          reader.add(Buffer.from(stream.subarray(at, at + step)));
          at += step;
          for (let next = reader.next(); next !== undefined; next = reader.next())
            back.push(next.value);
        }
        expect(back).toStrictEqual(values);
      },
    ),
    { seed, numRuns: 200 },
  );
});

test('a frame that is longer than it may be is refused by its header alone', () => {
  const reader = new FrameReader();
  reader.longest = 1000;
  const header = Buffer.alloc(4);
  header.writeUInt32LE(1001);
  reader.add(header);
  expect(() => reader.next()).toThrow(NotAValue);
  expect(() => frame('x'.repeat(2000), 1000)).toThrow('do not fit');
  expect(frame('fits', 1000).length).toBeLessThan(20);
});
