import type { Statement } from '../statements/catalogue.js';
import type { BindValue, BoundParams } from '../statements/params.js';
import { BATCH, Method, ONCE } from '../threads/protocol.js';
import { type Hello, Nonsense } from './messages.js';

/** One statement with its values, as another process sent it. */
export interface GivenStatement {
  readonly statement: Statement;
  readonly method: Method;
  readonly params: BoundParams;
}

/** What shares a commit with others, whole: one statement, or a batch. */
export interface GivenUnit {
  readonly statements: readonly GivenStatement[];
  readonly isBatch: boolean;
  /** For one that is remembered in the file: whose it is. */
  readonly once: { client: string; number: number; answered: number; sent: boolean } | undefined;
}

export type Fields = Readonly<Record<string, unknown>>;

const LAST_METHOD = Math.max(...Object.values(Method));

export function must(condition: boolean, what: string): asserts condition {
  if (!condition) throw new Nonsense(what);
}

export function isObject(value: unknown): value is Fields {
  return (
    typeof value === 'object' &&
    value !== null &&
    !Array.isArray(value) &&
    !ArrayBuffer.isView(value)
  );
}

/** A whole number from 0 to `most`. */
export function whole(value: unknown, most: number, what: string): number {
  must(Number.isInteger(value) && (value as number) >= 0 && (value as number) <= most, what);
  return value as number;
}

export function text(value: unknown, what: string): string {
  must(typeof value === 'string', what);
  return value;
}

export function oneOf<T extends string>(value: unknown, values: readonly T[], what: string): T {
  must(values.includes(value as T), what);
  return value as T;
}

export function isBindValue(value: unknown): value is BindValue {
  switch (typeof value) {
    case 'string':
    case 'number':
    case 'bigint':
      return true;
    default:
      return value === null || value instanceof Uint8Array;
  }
}

export function checkHello(value: unknown): Hello {
  must(isObject(value) && value.poolite === 'hello', 'no greeting');
  whole(value.wire, 2 ** 31, 'no version');
  whole(value.pid, Number.MAX_SAFE_INTEGER, 'no process');
  text(value.file, 'no file');
  must(isObject(value.terms), 'no terms');
  return value as unknown as Hello;
}

/** Reads statements from words that another process sent, and checks every one of them. */
export class GivenWords {
  readonly #words: readonly unknown[];
  readonly #statements: ReadonlyMap<number, Statement>;
  #at = 0;

  constructor(words: unknown, statements: ReadonlyMap<number, Statement>) {
    must(Array.isArray(words), 'no words');
    this.#words = words;
    this.#statements = statements;
  }

  get done(): boolean {
    return this.#at === this.#words.length;
  }

  count(most: number): number {
    return whole(this.#words[this.#at++], most, 'a count is none');
  }

  /** The statements of a unit. */
  unit(): GivenUnit {
    if (this.#words[this.#at] !== ONCE) return { ...this.#unit(), once: undefined };
    this.#at++;
    const client = text(this.#words[this.#at++], 'no name');
    must(client.length <= 64, 'no name');
    const number = this.count(Number.MAX_SAFE_INTEGER);
    const answered = this.count(number);
    return { ...this.#unit(), once: { client, number, answered, sent: false } };
  }

  #unit(): Omit<GivenUnit, 'once'> {
    if (this.#words[this.#at] !== BATCH) {
      return { statements: [this.#inTransaction()], isBatch: false };
    }
    this.#at++;
    const count = this.count(this.#words.length);
    must(count > 0, 'an empty batch');
    const statements: GivenStatement[] = [];
    for (let i = 0; i < count; i++) statements.push(this.#inTransaction());
    return { statements, isBatch: true };
  }

  /** One that shares a transaction with those of others, which it must not end. */
  #inTransaction(): GivenStatement {
    const given = this.statement();
    const { kind } = given.statement.classification;
    must(kind === 'read' || kind === 'write', `${kind} in a group`);
    return given;
  }

  statement(): GivenStatement {
    const statement = this.#statements.get(this.#words[this.#at++] as number);
    must(statement !== undefined, 'a statement that was not defined');
    const method = whole(this.#words[this.#at++], LAST_METHOD, 'no method') as Method;
    return { statement, method, params: this.#params() };
  }

  #params(): BoundParams {
    const count = this.#words[this.#at++];
    if (count === -1) {
      const named = this.#words[this.#at++];
      must(isObject(named) && Object.values(named).every(isBindValue), 'values that are none');
      return named as BoundParams;
    }
    const from = this.#at;
    this.#at += whole(count, this.#words.length - from, 'a count is none');
    const values = this.#words.slice(from, this.#at);
    must(values.every(isBindValue), 'values that are none');
    return values as BindValue[];
  }
}

/** The columns of a bulk's chunk: as many values in each as the chunk has sets. */
export function checkRows({ columns, names, count }: Fields): void {
  const sets = whole(count, 65_536, 'no chunk');
  must(Array.isArray(columns) && columns.length < 65_536, 'no columns');
  for (const column of columns as unknown[]) {
    const isPacked = column instanceof Float64Array || column instanceof Int32Array;
    const isList = Array.isArray(column) && column.every(isBindValue);
    must((isPacked || isList) && column.length === sets, 'a column that is none');
  }
  if (names === undefined) return;
  must(
    Array.isArray(names) &&
      names.length === columns.length &&
      names.every((name) => typeof name === 'string'),
    'names that are none',
  );
}
