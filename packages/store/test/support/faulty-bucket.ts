// The built package: programs that are started by themselves have it too.
import { type Bucket, BucketError } from '@poolite/store';

/** What a bucket is asked. */
export type Operation = 'get' | 'create' | 'put' | 'list' | 'remove';

/** What can happen to a request. */
export type Fault =
  /** It goes through. */
  | 'none'
  /** It never arrives. */
  | 'lost request'
  /** It is carried out, and nobody hears so. */
  | 'lost reply'
  /** The caller hears that it failed; it arrives later, when `land` is called or `lateAfter` is over. */
  | 'late'
  /** The server refuses it: it certainly had no effect. */
  | 'refused'
  /** It is sent twice, as the SDK does after an answer that it did not get; the second answer counts. */
  | 'repeated';

/** What a faulty bucket does. */
export interface Faults {
  /** What makes chances: the same seed does the same to the same requests. Default: 1. */
  seed?: number;
  /** How long each operation takes, in ms: one time, or from and to. */
  latency?: Partial<Record<Operation, number | readonly [number, number]>>;
  /** How often each fault happens to each operation, from 0 to 1. */
  chances?: Partial<Record<Operation, Partial<Record<Exclude<Fault, 'none'>, number>>>>;
  /** Decides instead of chance what happens to a request; undefined leaves it to chance. */
  decide?: (operation: Operation, key: string, count: number) => Fault | undefined;
  /** When late requests arrive, in ms after the caller gave up; default: with `land()` alone. */
  lateAfter?: readonly [number, number];
  /** Called before a request is sent; whatever it awaits holds the request up. */
  before?: (operation: Operation, key: string, count: number) => unknown;
  /** Called when it was carried out, before the caller hears so. */
  after?: (operation: Operation, key: string, count: number) => unknown;
}

/** One request, and what happened to it. */
export interface Happening {
  readonly operation: Operation;
  readonly key: string;
  readonly fault: Fault;
}

/** Numbers from 0 to 1, the same ones for the same seed (mulberry32). */
export function chance(seed: number): () => number {
  let state = seed | 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** A bucket between which and its caller there is a bad network. */
export class FaultyBucket implements Bucket {
  readonly where: string;
  /** All requests, in the order in which they were made. */
  readonly happened: Happening[] = [];
  /** May be changed at any time. */
  faults: Faults;
  readonly #bucket: Bucket;
  readonly #random: () => number;
  readonly #counts = new Map<Operation, number>();
  #late: (() => Promise<unknown>)[] = [];

  constructor(bucket: Bucket, faults: Faults = {}) {
    this.#bucket = bucket;
    this.where = `${bucket.where} (faulty)`;
    this.faults = faults;
    this.#random = chance(faults.seed ?? 1);
  }

  get(key: string): Promise<Uint8Array | undefined> {
    return this.#send('get', key, () => this.#bucket.get(key));
  }

  create(key: string, body: Uint8Array): Promise<'created' | 'exists'> {
    // Who is late sends what it was given then.
    const own = body.slice();
    return this.#send('create', key, () => this.#bucket.create(key, own));
  }

  put(key: string, body: Uint8Array): Promise<void> {
    const own = body.slice();
    return this.#send('put', key, () => this.#bucket.put(key, own));
  }

  list(prefix: string, after?: string): Promise<string[]> {
    return this.#send('list', prefix, () => this.#bucket.list(prefix, after));
  }

  remove(key: string): Promise<void> {
    return this.#send('remove', key, () => this.#bucket.remove(key));
  }

  /** How often an operation was asked for. */
  count(operation: Operation): number {
    return this.#counts.get(operation) ?? 0;
  }

  /** How many requests are still on their way, though their callers gave them up. */
  get late(): number {
    return this.#late.length;
  }

  /** Lets late requests arrive, all or so many, in the order in which they were sent. */
  async land(most = Number.POSITIVE_INFINITY): Promise<void> {
    for (let landed = 0; landed < most; landed++) {
      const arrive = this.#late.shift();
      if (arrive === undefined) return;
      await arrive();
    }
  }

  async #send<Result>(
    operation: Operation,
    key: string,
    request: () => Promise<Result>,
  ): Promise<Result> {
    const count = this.count(operation) + 1;
    this.#counts.set(operation, count);
    const { before, after, lateAfter } = this.faults;
    // Both are drawn each time, so that one fault less does not change all that follow.
    const [dice, share, delay] = [this.#random(), this.#random(), this.#random()];
    const fault = this.faults.decide?.(operation, key, count) ?? this.#fault(operation, dice);
    this.happened.push({ operation, key, fault });
    await before?.(operation, key, count);
    await this.#wait(operation, share);
    const failed = (definite: boolean) =>
      new BucketError(`${operation} ${key} in ${this.where}: ${fault}`, { definite });
    if (fault === 'refused') throw failed(true);
    if (fault === 'lost request') throw failed(false);
    if (fault === 'late') {
      this.#late.push(request);
      if (lateAfter !== undefined) this.#arriveLater(request, lateAfter, delay);
      throw failed(false);
    }
    if (fault === 'repeated') await request();
    const result = await request();
    await after?.(operation, key, count);
    if (fault === 'lost reply') throw failed(false);
    return result;
  }

  #fault(operation: Operation, dice: number): Fault {
    let sum = 0;
    for (const [fault, share] of Object.entries(this.faults.chances?.[operation] ?? {})) {
      sum += share;
      if (dice < sum) return fault as Fault;
    }
    return 'none';
  }

  async #wait(operation: Operation, share: number): Promise<void> {
    const latency = this.faults.latency?.[operation] ?? 0;
    const [from, to] = typeof latency === 'number' ? [latency, latency] : latency;
    if (to > 0) await sleep(from + (to - from) * share);
  }

  #arriveLater(
    request: () => Promise<unknown>,
    [from, to]: readonly [number, number],
    share: number,
  ): void {
    const timer = setTimeout(
      () => {
        const at = this.#late.indexOf(request);
        if (at < 0) return;
        this.#late.splice(at, 1);
        // Nobody waits for it; where it cannot be carried out, it was lost.
        request().catch(() => {});
      },
      from + (to - from) * share,
    );
    timer.unref();
  }
}
