/** How much of a new measurement counts. */
const WEIGHT = 0.5;

/** From this part of the file on it is about to grow, if it has not. */
const NEARLY = 0.9;
/** A file of this size is small, in bytes: SQLite's own checkpoints keep it at about that. */
const SMALL_FILE = 4 * 1024 * 1024;

/**
 * From how many bytes on it pays to begin anew in the file that there is, where nobody is in the
 * way: to flush a file that grows takes up to twice as long as to flush what was written over.
 */
export function worthEmptying(usedBytes: number, fileBytes: number, usual: number): number {
  const grows = usedBytes >= fileBytes * NEARLY;
  return grows ? Math.max(SMALL_FILE, usual) : Number.POSITIVE_INFINITY;
}

/** How fast the WAL grows, from looks at its size. */
export class Growth {
  /** Bytes per ms. */
  rate = 0;
  #bytes = 0;
  #at = performance.now();

  look(bytes: number, now: number): void {
    const ms = now - this.#at;
    if (ms <= 0) return;
    // After it was begun anew it has grown from nothing.
    const grown = bytes >= this.#bytes ? bytes - this.#bytes : bytes;
    this.rate += (grown / ms - this.rate) * WEIGHT;
    this.#bytes = bytes;
    this.#at = now;
  }

  /** It is empty now. */
  emptied(): void {
    this.#bytes = 0;
    this.#at = performance.now();
  }

  /** When it will have grown by so many bytes, in ms from now. */
  until(bytes: number): number {
    return this.rate > 0 ? Math.max(0, bytes) / this.rate : Number.POSITIVE_INFINITY;
  }
}
