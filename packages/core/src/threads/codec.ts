/**
 * Values as bytes, for the socket between processes. Not node:v8's own format: Node.js says that
 * its reader is not made for bytes that somebody else wrote, and it makes objects of any class.
 * This one knows what statements and their results are made of, and nothing else; whatever it
 * reads, it makes plain values no larger than a small multiple of the bytes that it was given.
 */

/** What a value begins with. Small integers are a tag of their own, from `small` on. */
const Tag = {
  null: 0,
  undefined: 1,
  false: 2,
  true: 3,
  /** A whole number: its sign is in the lowest bit, 7 bits a byte. */
  integer: 4,
  /** Any other number: 8 bytes. */
  float: 5,
  /** A sign, then a length and as many bytes in hexadecimal digits. */
  bigint: 6,
  /** A length and as many bytes of UTF-8. */
  text: 7,
  /** The same in UTF-16: a text with half a pair, which UTF-8 cannot hold. */
  brokenText: 8,
  blob: 9,
  /** A length and as many values. */
  array: 10,
  /** A length and as many pairs of a text and a value. */
  object: 11,
  /** A length and as many numbers of 4 bytes, or of 8. */
  integers: 12,
  floats: 13,
  small: 32,
} as const;

const MOST_SMALL = 255 - Tag.small;
/** Nothing that is sent is nested deeper: a batch's results in a group's answer are. */
const DEEPEST = 8;
/** SQLite has integers of 16 digits in base 16; what is larger must be told so by its library. */
const MOST_DIGITS = 32;
const FIRST_SIZE = 16 * 1024;
/** A buffer that grew larger is not kept. */
const KEPT_SIZE = 1024 * 1024;

/** Every Node.js that the pool runs on has it; the language's version in use here does not yet. */
interface Text {
  isWellFormed(): boolean;
}

/** Bytes that are no value: whoever sent them speaks another language. */
export class NotAValue extends Error {
  override readonly name = 'NotAValue';
}

/** Writes values into one piece of memory that grows. */
export class Encoder {
  #bytes = Buffer.allocUnsafe(FIRST_SIZE);
  #at = 0;

  get length(): number {
    return this.#at;
  }

  /** Forgets what was written behind a place. */
  rewind(to: number): void {
    this.#at = to;
  }

  /** Leaves room for 4 bytes, which `patch` fills. */
  reserve(): number {
    this.#room(4);
    const at = this.#at;
    this.#at += 4;
    return at;
  }

  patch(at: number, value: number): void {
    this.#bytes.writeUInt32LE(value, at);
  }

  /** A copy of all that was written; what comes hereafter begins anew. */
  take(): Buffer {
    const taken = Buffer.from(this.#bytes.subarray(0, this.#at));
    this.#at = 0;
    if (this.#bytes.length > KEPT_SIZE) this.#bytes = Buffer.allocUnsafe(FIRST_SIZE);
    return taken;
  }

  write(value: unknown): void {
    switch (typeof value) {
      case 'number':
        return this.#number(value);
      case 'string':
        return this.#text(value);
      case 'boolean':
        return this.#byte(value ? Tag.true : Tag.false);
      case 'undefined':
        return this.#byte(Tag.undefined);
      case 'bigint':
        return this.#bigint(value);
      case 'object':
        if (value === null) return this.#byte(Tag.null);
        if (Array.isArray(value)) return this.#array(value);
        if (ArrayBuffer.isView(value)) return this.#view(value);
        return this.#object(value as Record<string, unknown>);
      default:
        throw new TypeError(`a ${typeof value} cannot be sent`);
    }
  }

  #room(bytes: number): void {
    const needed = this.#at + bytes;
    if (needed <= this.#bytes.length) return;
    const larger = Buffer.allocUnsafe(Math.max(needed, this.#bytes.length * 2));
    this.#bytes.copy(larger, 0, 0, this.#at);
    this.#bytes = larger;
  }

  #byte(byte: number): void {
    this.#room(1);
    this.#bytes[this.#at++] = byte;
  }

  #number(value: number): void {
    if (value >= 0 && value <= MOST_SMALL && Number.isInteger(value) && !Object.is(value, -0)) {
      return this.#byte(Tag.small + value);
    }
    if (Number.isSafeInteger(value) && !Object.is(value, -0)) {
      this.#byte(Tag.integer);
      const positive = Math.abs(value);
      // The sign goes in front, since twice a large number is no safe integer any more.
      this.#byte((positive % 64) * 2 + (value < 0 ? 1 : 0) + (positive >= 64 ? 128 : 0));
      if (positive >= 64) this.#length(Math.floor(positive / 64));
      return;
    }
    this.#room(9);
    this.#bytes[this.#at] = Tag.float;
    this.#bytes.writeDoubleLE(value, this.#at + 1);
    this.#at += 9;
  }

  /** A number that is not negative: 7 bits a byte, the lowest first. */
  #length(value: number): void {
    this.#room(8);
    let rest = value;
    while (rest >= 128) {
      this.#bytes[this.#at++] = (rest % 128) + 128;
      rest = Math.floor(rest / 128);
    }
    this.#bytes[this.#at++] = rest;
  }

  #bigint(value: bigint): void {
    const all = (value < 0n ? -value : value).toString(16);
    // SQLite's library refuses either.
    const digits = all.length > MOST_DIGITS ? all.slice(0, MOST_DIGITS) : all;
    this.#byte(Tag.bigint);
    this.#byte(value < 0n ? 1 : 0);
    this.#length(digits.length);
    this.#room(digits.length);
    this.#at += this.#bytes.write(digits, this.#at, 'latin1');
  }

  #text(text: string): void {
    if (!(text as unknown as Text).isWellFormed()) {
      this.#byte(Tag.brokenText);
      this.#length(text.length * 2);
      this.#room(text.length * 2);
      this.#at += this.#bytes.write(text, this.#at, 'utf16le');
      return;
    }
    const { length } = text;
    if (length < 128 / 3) {
      // Its length takes one byte, whatever is in it.
      this.#room(2 + length * 3);
      const written = this.#bytes.write(text, this.#at + 2);
      this.#bytes[this.#at] = Tag.text;
      this.#bytes[this.#at + 1] = written;
      this.#at += 2 + written;
      return;
    }
    const bytes = Buffer.byteLength(text);
    this.#byte(Tag.text);
    this.#length(bytes);
    this.#room(bytes);
    this.#at += this.#bytes.write(text, this.#at);
  }

  #array(values: readonly unknown[]): void {
    this.#byte(Tag.array);
    this.#length(values.length);
    for (let i = 0; i < values.length; i++) this.write(values[i]);
  }

  #object(object: Record<string, unknown>): void {
    const names = Object.keys(object);
    this.#byte(Tag.object);
    this.#length(names.length);
    for (const name of names) {
      this.#text(name);
      this.write(object[name]);
    }
  }

  #view(view: ArrayBufferView): void {
    if (view instanceof Int32Array) this.#byte(Tag.integers);
    else if (view instanceof Float64Array) this.#byte(Tag.floats);
    else if (view instanceof Uint8Array) this.#byte(Tag.blob);
    else throw new TypeError('such an array cannot be sent');
    this.#length(view.length);
    this.#room(view.byteLength);
    // Every machine that Node.js runs on has the lowest byte first.
    Buffer.from(view.buffer, view.byteOffset, view.byteLength).copy(this.#bytes, this.#at);
    this.#at += view.byteLength;
  }
}

const OWN = { configurable: true, enumerable: true, writable: true };

/** Reads one value, which must be all of the bytes. Throws `NotAValue`. */
export function decode(bytes: Buffer): unknown {
  const decoder = new Decoder(bytes);
  const value = decoder.value(0);
  if (decoder.left > 0) throw new NotAValue(`${decoder.left} bytes too many`);
  return value;
}

class Decoder {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  get left(): number {
    return this.#bytes.length - this.#at;
  }

  value(depth: number): unknown {
    const tag = this.#byte();
    if (tag >= Tag.small) return tag - Tag.small;
    switch (tag) {
      case Tag.null:
        return null;
      case Tag.undefined:
        return undefined;
      case Tag.false:
        return false;
      case Tag.true:
        return true;
      case Tag.integer:
        return this.#integer();
      case Tag.float:
        return this.#take(8).readDoubleLE(0);
      case Tag.bigint:
        return this.#bigint();
      case Tag.text:
        return this.#text();
      case Tag.brokenText:
        return this.#take(this.#length(1)).toString('utf16le');
      case Tag.blob:
        return new Uint8Array(this.#take(this.#length(1)));
      case Tag.array:
        return this.#array(depth + 1);
      case Tag.object:
        return this.#object(depth + 1);
      case Tag.integers:
        return new Int32Array(this.#numbers(4));
      case Tag.floats:
        return new Float64Array(this.#numbers(8));
      default:
        throw new NotAValue(`no value begins with ${tag}`);
    }
  }

  #byte(): number {
    const byte = this.#bytes[this.#at++];
    if (byte === undefined) throw new NotAValue('the bytes end within a value');
    return byte;
  }

  #take(bytes: number): Buffer {
    if (bytes > this.left) throw new NotAValue('the bytes end within a value');
    const from = this.#at;
    this.#at += bytes;
    return this.#bytes.subarray(from, this.#at);
  }

  #unsigned(): number {
    let value = 0;
    let factor = 1;
    for (let i = 0; i < 8; i++) {
      const byte = this.#byte();
      value += (byte % 128) * factor;
      if (byte < 128) {
        if (Number.isSafeInteger(value)) return value;
        break;
      }
      factor *= 128;
    }
    throw new NotAValue('a number is too large');
  }

  /** A length, of which so many bytes follow for each. */
  #length(bytesEach: number): number {
    const length = this.#unsigned();
    if (length * bytesEach > this.left) throw new NotAValue('the bytes end within a value');
    return length;
  }

  #integer(): number {
    const first = this.#byte();
    let positive = (first % 128) >> 1;
    if (first >= 128) positive += this.#unsigned() * 64;
    if (!Number.isSafeInteger(positive)) throw new NotAValue('a number is too large');
    return first % 2 === 1 ? 0 - positive : positive;
  }

  #bigint(): bigint {
    const negative = this.#byte() === 1;
    const length = this.#length(1);
    const digits = this.#take(length).toString('latin1');
    if (length > MOST_DIGITS || !/^[0-9a-f]+$/.test(digits)) throw new NotAValue('no integer');
    const value = BigInt(`0x${digits}`);
    return negative ? -value : value;
  }

  #text(): string {
    return this.#take(this.#length(1)).toString();
  }

  #array(depth: number): unknown[] {
    if (depth > DEEPEST) throw new NotAValue('values are nested too deep');
    const length = this.#length(1);
    const values: unknown[] = [];
    for (let i = 0; i < length; i++) values.push(this.value(depth));
    return values;
  }

  #object(depth: number): object {
    if (depth > DEEPEST) throw new NotAValue('values are nested too deep');
    const length = this.#length(2);
    const object: Record<string, unknown> = {};
    for (let i = 0; i < length; i++) {
      const name = this.value(depth);
      if (typeof name !== 'string') throw new NotAValue('a name is no text');
      const value = this.value(depth);
      if (name !== '__proto__') object[name] = value;
      else Object.defineProperty(object, name, { ...OWN, value });
    }
    return object;
  }

  #numbers(bytesEach: number): ArrayBuffer {
    const length = this.#length(bytesEach);
    const bytes = this.#take(length * bytesEach);
    // A copy of their own: where they stand, they may not be aligned.
    const copy = new ArrayBuffer(bytes.length);
    bytes.copy(Buffer.from(copy));
    return copy;
  }
}
