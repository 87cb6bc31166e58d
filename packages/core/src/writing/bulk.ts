import { PoolError, shorten } from '../errors.js';
import type { Statement } from '../statements/catalogue.js';
import { type BindValue, checkParams, ownedParams } from '../statements/params.js';
import { errorOf, lostError, thrownLater } from '../threads/failure.js';
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
  #underWay = 0;
  #failed = false;
  #lost: unknown;
  #wake: (() => void) | undefined;

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
    writer.send({ type: 'bulk', statement: this.#statement.id });
    try {
      try {
        await this.#sendAll(sets);
      } catch (error) {
        // What failed is the caller's own: its error is what must be heard.
        await this.#end(false).catch(() => {});
        throw error;
      }
      await this.#end(true);
    } finally {
      writer.onProgress = undefined;
    }
  }

  /** The turn's thread died. */
  lose(cause: unknown): void {
    this.#lost = cause;
    this.#wake?.();
  }

  async #sendAll(sets: ParamSets): Promise<void> {
    let chunk: Chunk | undefined;
    let index = 0;
    const add = (set: unknown): boolean => {
      const { names, values } = this.#values(set, index++);
      if (chunk === undefined) {
        chunk = new Chunk(names, values.length);
      } else if (chunk.columns.length !== values.length || !sameNames(chunk.names, names)) {
        this.#send(chunk);
        chunk = new Chunk(names, values.length);
      }
      chunk.push(values);
      return chunk.full;
    };
    const flush = async (): Promise<boolean> => {
      if (chunk !== undefined) this.#send(chunk);
      chunk = undefined;
      return this.#room();
    };
    if (Symbol.iterator in sets) {
      for (const set of sets) if (add(set) && !(await flush())) return;
    } else {
      for await (const set of sets) if (add(set) && !(await flush())) return;
    }
    await flush();
  }

  #values(set: unknown, index: number): { names: string[] | undefined; values: BindValue[] } {
    const { sql, classification } = this.#statement;
    let bound: ReturnType<typeof checkParams>;
    try {
      bound = checkParams(sql, set ?? [], classification);
    } catch (error) {
      if (PoolError.is(error)) error.message = `parameter set ${index}: ${error.message}`;
      throw error;
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

  #send(chunk: Chunk): void {
    this.#underWay++;
    const { names, count } = chunk;
    this.#writer.send({ type: 'rows', columns: chunk.columns.map(packed), names, count });
  }

  /** Waits until another chunk may be sent; false where none needs to be. */
  async #room(): Promise<boolean> {
    // The event loop turns between chunks in any case.
    await new Promise<void>((resolve) => setImmediate(resolve));
    while (this.#underWay >= MOST_CHUNKS && !this.#failed && this.#lost === undefined) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
      this.#wake = undefined;
    }
    return !this.#failed && this.#lost === undefined;
  }

  #end(commit: boolean): Promise<void> {
    if (this.#lost !== undefined) return Promise.reject(lostError(this.#lost, false));
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
