import { decode, Encoder, NotAValue } from '../threads/codec.js';

/** The longest frame, in bytes: a value that is larger cannot cross. */
export const LONGEST_FRAME = 256 * 1024 * 1024;
/** Until both have said who they are, nothing is long. */
export const LONGEST_GREETING = 16 * 1024;

const HEADER = 4;

const encoder = new Encoder();

/** A frame with this value in it: its length in 4 bytes, the lowest first, then the value. */
export function frame(value: unknown, longest = LONGEST_FRAME): Buffer {
  try {
    const at = encoder.reserve();
    encoder.write(value);
    const length = encoder.length - at - HEADER;
    if (length > longest) throw new TooLong(length, longest);
    encoder.patch(at, length);
    return encoder.take();
  } catch (error) {
    encoder.rewind(0);
    throw error;
  }
}

/** What is to be sent does not fit into a frame. */
export class TooLong extends Error {
  constructor(length: number, longest: number) {
    super(`${length} bytes do not fit into a frame, which holds ${longest}`);
  }
}

/** Cuts a stream of bytes into frames. */
export class FrameReader {
  /** How long a frame may be. */
  longest = LONGEST_GREETING;
  #chunks: Buffer[] = [];
  #bytes = 0;
  /** The length of the frame that is coming; undefined while its header is. */
  #wanted: number | undefined;

  /** Adds bytes that came. Memory is taken only for what has come, whatever a header promises. */
  add(chunk: Buffer): void {
    this.#chunks.push(chunk);
    this.#bytes += chunk.length;
  }

  /** The next value; undefined where none is whole. Throws `NotAValue`. */
  next(): { value: unknown } | undefined {
    if (this.#wanted === undefined) {
      if (this.#bytes < HEADER) return undefined;
      this.#wanted = this.#take(HEADER).readUInt32LE(0);
      if (this.#wanted > this.longest) {
        throw new NotAValue(`a frame of ${this.#wanted} bytes, where ${this.longest} are the most`);
      }
    }
    if (this.#bytes < this.#wanted) return undefined;
    const bytes = this.#take(this.#wanted);
    this.#wanted = undefined;
    return { value: decode(bytes) };
  }

  #take(count: number): Buffer {
    this.#bytes -= count;
    const [first] = this.#chunks;
    if (first === undefined) return Buffer.alloc(0);
    if (first.length >= count) {
      if (first.length === count) this.#chunks.shift();
      else this.#chunks[0] = first.subarray(count);
      return first.subarray(0, count);
    }
    const all = Buffer.concat(this.#chunks);
    this.#chunks = all.length === count ? [] : [all.subarray(count)];
    return all.subarray(0, count);
  }
}
