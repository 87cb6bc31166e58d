/** All bytes of some arrays in blocks of one size, but the last; nothing is copied without need. */
export function* blocks(arrays: readonly Uint8Array[], size: number): Generator<Uint8Array> {
  let gathered: Uint8Array[] = [];
  let length = 0;
  for (const array of arrays) {
    for (let at = 0; at < array.length; ) {
      const end = Math.min(array.length, at + size - length);
      gathered.push(array.subarray(at, end));
      length += end - at;
      at = end;
      if (length < size) continue;
      yield joined(gathered);
      gathered = [];
      length = 0;
    }
  }
  if (length > 0) yield joined(gathered);
}

function joined(gathered: readonly Uint8Array[]): Uint8Array {
  const [first] = gathered;
  return gathered.length === 1 && first !== undefined ? first : Buffer.concat(gathered);
}

/**
 * Cuts bytes that arrive in blocks into arrays of given sizes. Each has memory of its own, so that
 * it can be handed to a thread without what else arrived with it.
 */
export class Cutter {
  readonly #sizes: readonly number[];
  readonly #arrays: Uint8Array[] = [];
  /** How much of the last one is there. */
  #filled = 0;

  constructor(sizes: readonly number[]) {
    this.#sizes = sizes;
  }

  add(block: Uint8Array): void {
    for (let at = 0; at < block.length; ) {
      const open = this.#open();
      const taken = block.subarray(at, at + open.length - this.#filled);
      open.set(taken, this.#filled);
      this.#filled += taken.length;
      at += taken.length;
    }
  }

  /** All of them; an Error where bytes are missing. */
  end(): Uint8Array[] {
    const missing = this.#sizes.slice(this.#arrays.length);
    const last = this.#arrays.at(-1);
    if (this.#filled !== (last?.length ?? 0) || missing.some((size) => size > 0)) {
      throw new Error('there are fewer bytes than there should be');
    }
    return [...this.#arrays, ...missing.map(() => new Uint8Array())];
  }

  /** The array that the next byte goes to. */
  #open(): Uint8Array {
    let last = this.#arrays.at(-1);
    while (last === undefined || this.#filled === last.length) {
      const size = this.#sizes[this.#arrays.length];
      if (size === undefined) throw new Error('there are more bytes than there should be');
      last = new Uint8Array(size);
      this.#arrays.push(last);
      this.#filled = 0;
    }
    return last;
  }
}
