import { PoolError, shorten } from '../errors.js';
import type { Statement } from '../statements/catalogue.js';
import { type BindValue, checkParams, ownedParams } from '../statements/params.js';
import { errorOf, lostError, thrownLater } from '../threads/failure.js';
import { taskWord } from '../threads/protocol.js';
import type { Writer } from './writer.js';

/** Parameter sets of one chunk; chunks that may be under way at once. */
const CHUNK_SETS = 2048;
const MOST_CHUNKS = 3;
/** A chunk with larger values ends sooner, at about so many bytes. */
const CHUNK_BYTES = 4 * 1024 * 1024;

type ParamSets = Iterable<unknown> | AsyncIterable<unknown>;

/** Some parameter sets by column: a few long arrays cross far cheaper than many short ones. */
class Chunk {
  readonly columns: BindValue[][] = [];
  readonly names: string[] | undefined;
  count = 0;
  bytes = 0;

  constructor(names: string[] | undefined, width: number) {
    this.names = names;
    for (let i = 0; i < width; i++) this.columns.push([]);
  }

  /** Whether a set of these names, or of so many values, has the same columns. */
  fits(names: string[] | undefined, width: number): boolean {
    return width === this.columns.length && sameNames(names, this.names);
  }

  get full(): boolean {
    return this.count >= CHUNK_SETS || this.bytes >= CHUNK_BYTES;
  }

  push(values: readonly BindValue[]): void {
    for (let i = 0; i < values.length; i++) {
      const value = values[i] as BindValue;
      (this.columns[i] as BindValue[]).push(value);
      if (typeof value === 'string') this.bytes += value.length;
      else if (typeof value === 'object' && value !== null) this.bytes += value.byteLength;
    }
    this.count++;
  }
}

/** Columns of numbers travel as one piece of memory. */
function packed(column: BindValue[]): ArrayLike<unknown> {
  for (let i = 0; i < column.length; i++) if (typeof column[i] !== 'number') return column;
  return Float64Array.from(column as number[]);
}

/** One statement over many parameter sets, on the calling thread's side: chunk by chunk. */
export class BulkWrite {
  changes = 0;
  readonly #writer: Writer;
  readonly #statement: Statement;
  readonly #driver: string;
  #index = 0;
  /** The number that it is stopped by. */
  #task = 0;
  #chunk: Chunk | undefined;
  #underWay = 0;
  /** A set failed: what comes behind it is in vain. */
  #failed = false;
  /** Why no more is to be sent. */
  #stop: { cause: unknown } | undefined;
  /** Whether the writer is not this bulk's any more. */
  #lost = false;
  /** Whether its end was sent. */
  #ending = false;
  #wake: (() => void) | undefined;
  /** Ends the wait for a set that may never come. */
  #stopped: () => void = () => {};

  constructor(writer: Writer, statement: Statement, driver: string) {
    this.#writer = writer;
    this.#statement = statement;
    this.#driver = driver;
  }

  /** Runs on a turn of the writer. */
  async run(sets: ParamSets): Promise<void> {
    const writer = this.#writer;
    writer.thread.introduce(this.#statement);
    writer.onProgress = ({ changes, failed }) => {
      this.#underWay--;
      this.changes += changes;
      if (failed) this.#failed = true;
      this.#wake?.();
    };
    this.#task = writer.thread.number();
    writer.send({ type: 'bulk', task: this.#task, statement: this.#statement.id });
    try {
      try {
        await this.#sendAll(sets);
      } catch (error) {
        // What failed is the caller's own: its error is what must be heard.
        await this.#end(false).catch(() => {});
        throw error;
      }
      await this.#end(this.#stop === undefined);
    } finally {
      writer.onProgress = undefined;
      writer.thread.stops.forget(taskWord(this.#task), this.#task);
    }
  }

  /** Gives up: it is rolled back, unless its commit has begun. */
  abort(): 'nothing' | 'soon' | 'unknown' {
    const { thread } = this.#writer;
    if (this.#task > 0) thread.stopWork(this.#task);
    if (this.#ending) return thread.stops.canInterrupt ? 'soon' : 'unknown';
    this.#giveUp({ cause: undefined });
    return 'nothing';
  }

  /** The turn was taken away, or its thread died. */
  lose(cause: unknown): void {
    this.#lost = true;
    this.#giveUp({ cause });
    if (this.#task > 0) this.#writer.thread.stopWork(this.#task);
  }

  #giveUp(stop: { cause: unknown }): void {
    this.#stop ??= stop;
    this.#wake?.();
    this.#stopped();
  }

  async #sendAll(sets: ParamSets): Promise<void> {
    if (Symbol.iterator in sets) {
      for (const set of sets) if (this.#add(set) && !(await this.#sendMore())) return;
    } else {
      await this.#sendAllOf(sets[Symbol.asyncIterator]());
    }
    this.#send();
  }

  async #sendAllOf(iterator: AsyncIterator<unknown>): Promise<void> {
    let next: IteratorResult<unknown> | undefined;
    try {
      for (;;) {
        next = await this.#nextOf(iterator);
        if (next === undefined || next.done === true) return;
        if (this.#add(next.value) && !(await this.#sendMore())) return;
      }
    } finally {
      if (next?.done !== true) iterator.return?.()?.then(undefined, () => {});
    }
  }

  /** The next set, or undefined: whoever stops the bulk must not wait for one that never comes. */
  #nextOf(iterator: AsyncIterator<unknown>): Promise<IteratorResult<unknown> | undefined> {
    // Not Promise.race, which leaves a reaction on the promise that loses, for each of the sets.
    return new Promise((resolve, reject) => {
      this.#stopped = () => resolve(undefined);
      if (this.#stop !== undefined) return resolve(undefined);
      Promise.resolve(iterator.next()).then(resolve, reject);
    });
  }

  /** Puts a set into the chunk that is being filled; true where it must be sent before the next. */
  #add(set: unknown): boolean {
    const { names, values } = this.#values(set, this.#index++);
    if (this.#chunk?.fits(names, values.length) === false) this.#send();
    this.#chunk ??= new Chunk(names, values.length);
    this.#chunk.push(values);
    return this.#chunk.full || this.#underWay >= MOST_CHUNKS;
  }

  #sendMore(): Promise<boolean> {
    this.#send();
    return this.#room();
  }

  #values(set: unknown, index: number): { names: string[] | undefined; values: BindValue[] } {
    const { sql, classification } = this.#statement;
    let bound: ReturnType<typeof checkParams>;
    try {
      bound = checkParams(sql, set === undefined ? [] : set, classification);
    } catch (error) {
      if (!PoolError.is(error)) throw error;
      error.message = `parameter set ${index}: ${error.message}`;
      throw Object.assign(error, { index });
    }
    if (Array.isArray(bound)) {
      return {
        names: undefined,
        values: hasBlob(bound) ? (ownedParams(bound) as BindValue[]) : bound,
      };
    }
    const owned = ownedParams(bound) as Record<string, BindValue>;
    return { names: Object.keys(owned), values: Object.values(owned) };
  }

  #send(): void {
    const chunk = this.#chunk;
    this.#chunk = undefined;
    if (chunk === undefined || this.#stop !== undefined) return;
    this.#underWay++;
    const { names, count } = chunk;
    this.#writer.send({ type: 'rows', columns: chunk.columns.map(packed), names, count });
  }

  /** Waits until another chunk may be sent; false where none needs to be. */
  async #room(): Promise<boolean> {
    // The event loop turns between chunks in any case.
    await new Promise<void>((resolve) => setImmediate(resolve));
    while (this.#underWay >= MOST_CHUNKS && !this.#failed && this.#stop === undefined) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
      this.#wake = undefined;
    }
    return !this.#failed && this.#stop === undefined;
  }

  #end(commit: boolean): Promise<void> {
    if (this.#lost) return Promise.reject(this.#stop?.cause);
    this.#ending = true;
    const { thread } = this.#writer;
    return new Promise((resolve) => {
      const task = thread.expect({
        reply: (reply) => {
          const failure = reply.type === 'done' ? reply.failure : undefined;
          if (failure === undefined) return resolve();
          const place = failure.index === undefined ? '' : `parameter set ${failure.index}: `;
          const message = `${place}${failure.message}`;
          resolve(thrownLater(() => errorOf({ ...failure, message }, this.#driver)));
        },
        lost: (cause, committing) => {
          resolve(thrownLater(() => lostError(cause, commit && committing)));
        },
      });
      this.#writer.send({ type: 'bulk-end', task, commit });
    });
  }
}

export function checkBulk(statement: Statement, sets: unknown): asserts sets is ParamSets {
  const { sql } = statement;
  if (!statement.isGroupable) {
    throw new PoolError('POOL_MISUSE', `runMany is for a statement that writes: ${shorten(sql)}`);
  }
  const iterable =
    typeof sets === 'object' &&
    sets !== null &&
    (Symbol.iterator in sets || Symbol.asyncIterator in sets);
  if (!iterable) {
    throw new PoolError('POOL_MISUSE', 'runMany needs an iterable of parameter sets');
  }
}

function hasBlob(values: readonly BindValue[]): boolean {
  for (const value of values) if (typeof value === 'object' && value !== null) return true;
  return false;
}

function sameNames(one: string[] | undefined, other: string[] | undefined): boolean {
  if (one === undefined || other === undefined) return one === other;
  return one.length === other.length && one.every((name, i) => name === other[i]);
}
