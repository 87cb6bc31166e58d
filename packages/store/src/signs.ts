import type { Bucket } from './bucket.js';

const KEY = 'waiting';
/** A sign is put up again so often at most, in ms. */
const INTERVAL = 30;
const LONGEST = 1000;

/**
 * One object of the bucket that says: somebody wants to commit, and was beaten. It is no part of the truth: where it is
 * not written or read, commits are less fair, and right all the same.
 */
export class Signs {
  readonly #bucket: Bucket;
  readonly #node: string;
  #put = 0;
  #putAt = Number.NEGATIVE_INFINITY;
  #looking = false;
  /** What was read last: an old sign stays where it is. */
  #known: string | undefined;

  /** @param node tells this machine's signs from others'. */
  constructor(bucket: Bucket, node: string) {
    this.#bucket = bucket;
    this.#node = node;
  }

  /** This machine has been beaten. */
  put(now: number): void {
    if (now - this.#putAt < INTERVAL) return;
    this.#putAt = now;
    const body = Buffer.from(JSON.stringify({ node: this.#node, put: ++this.#put }));
    // What keeps it from being written keeps entries from being written too, and is told there.
    this.#bucket.put(KEY, body).catch(() => {});
  }

  /** Calls `seen` where another machine has put one up since the last look. */
  look(seen: () => void): void {
    if (this.#looking) return;
    this.#looking = true;
    this.#bucket
      .get(KEY)
      .then((body) => {
        const sign =
          body === undefined || body.length > LONGEST ? '' : Buffer.from(body).toString();
        const isNew = this.#known !== undefined && this.#known !== sign;
        this.#known = sign;
        if (isNew && !sign.includes(this.#node)) seen();
      })
      .catch(() => {}) // As above.
      .finally(() => {
        this.#looking = false;
      });
  }
}
