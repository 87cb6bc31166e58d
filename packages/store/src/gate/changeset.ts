/** What a change does, by SQLite's own numbers: https://sqlite.org/c3ref/c_alter_table.html */
export const INSERT = 18;
export const UPDATE = 23;
export const DELETE = 9;

/** What begins a table: of a changeset, and of a patchset, which has less of the old rows. */
const CHANGESET = 0x54;
const PATCHSET = 0x50;

/** Columns of a table at most: https://sqlite.org/limits.html; SQLite itself can be built with no more. */
const MOST_COLUMNS = 32767;

/** The table that changes belong to. */
export interface ChangedTable {
  readonly name: string;
  /** Whether each column is part of the primary key. */
  readonly keys: readonly boolean[];
  /** How it is written in the changeset, from its first byte to the end of its name. */
  readonly head: Uint8Array;
}

/** A value as it is written, with its type; the first byte of what an update leaves as it was is 0. */
export type RawValue = Uint8Array;

/** A change of one row. */
export interface Change {
  readonly table: ChangedTable;
  readonly operation: typeof INSERT | typeof UPDATE | typeof DELETE;
  /** All columns of a deleted row; of an updated one, the key and what was changed. */
  readonly before: readonly RawValue[];
  /** All columns of an inserted row; of an updated one, what was changed. */
  readonly after: readonly RawValue[];
  /** The whole change, as it is written. */
  readonly bytes: Uint8Array;
}

/**
 * Reads a changeset of SQLite's session extension, change by change:
 * https://sqlite.org/session/changeset.html and the comments of
 * https://sqlite.org/src/file/ext/session/sqlite3session.c on the format. The values are views of `bytes`.
 *
 * @throws where `bytes` is no changeset: nothing is read beyond its end, whatever it says of lengths.
 */
export function* changesOf(bytes: Uint8Array): Generator<Change, void, undefined> {
  const reader = new Reader(bytes);
  let table: ChangedTable | undefined;
  while (!reader.isAtEnd) {
    const start = reader.at;
    const first = reader.byte();
    if (first === CHANGESET) {
      table = reader.table(start);
      continue;
    }
    if (first !== INSERT && first !== UPDATE && first !== DELETE) return reader.fail();
    if (table === undefined) return reader.fail();
    // Whether a trigger or a foreign key made the change: nobody here wants to know.
    reader.byte();
    const columns = table.keys.length;
    const before = first === INSERT ? [] : reader.record(columns);
    const after = first === DELETE ? [] : reader.record(columns);
    yield { table, operation: first, before, after, bytes: bytes.subarray(start, reader.at) };
  }
}

/** The text or integer of a value, for those who know what it is; undefined for any other. */
export function plainValue(value: RawValue | undefined): string | bigint | undefined {
  if (value === undefined) return undefined;
  const view = new DataView(value.buffer, value.byteOffset, value.byteLength);
  if (value[0] === 1) return view.getBigInt64(1);
  if (value[0] !== 3) return undefined;
  const reader = new Reader(value);
  reader.byte();
  const length = reader.varint();
  return Buffer.from(value.buffer, value.byteOffset + reader.at, length).toString();
}

/** The head of the same table in a patchset, whose deletions have the key alone. */
export function patchHead(head: Uint8Array): Uint8Array {
  const patch = head.slice();
  patch[0] = PATCHSET;
  return patch;
}

/** Puts changes together again: each run of one table behind its head. */
export class Changes {
  readonly #parts: Uint8Array[] = [];
  #head: Uint8Array | undefined;

  add(head: Uint8Array, ...pieces: readonly Uint8Array[]): void {
    if (this.#head !== head) this.#parts.push(head);
    this.#head = head;
    this.#parts.push(...pieces);
  }

  get isEmpty(): boolean {
    return this.#parts.length === 0;
  }

  bytes(): Uint8Array {
    return Buffer.concat(this.#parts);
  }
}

class Reader {
  at = 0;
  readonly #bytes: Uint8Array;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  get isAtEnd(): boolean {
    return this.at >= this.#bytes.length;
  }

  fail(): never {
    throw new RangeError(`malformed changeset at byte ${this.at} of ${this.#bytes.length}`);
  }

  byte(): number {
    const byte = this.#bytes[this.at];
    if (byte === undefined) this.fail();
    this.at++;
    return byte;
  }

  /** https://sqlite.org/fileformat2.html#varint; lengths are far below the nine bytes that it may have. */
  varint(): number {
    let value = 0;
    for (let count = 0; count < 5; count++) {
      const byte = this.byte();
      value = value * 128 + (byte & 127);
      if (byte < 128) return value;
    }
    return this.fail();
  }

  table(start: number): ChangedTable {
    const columns = this.varint();
    if (columns === 0 || columns > MOST_COLUMNS) this.fail();
    const keys = Array.from(this.#take(columns), (place) => place !== 0);
    const end = this.#bytes.indexOf(0, this.at);
    if (end === -1) this.fail();
    const name = Buffer.from(this.#take(end - this.at)).toString();
    this.byte();
    return { name, keys, head: this.#bytes.subarray(start, this.at) };
  }

  record(columns: number): RawValue[] {
    const values: RawValue[] = [];
    for (let column = 0; column < columns; column++) values.push(this.#value());
    return values;
  }

  #value(): RawValue {
    const start = this.at;
    const type = this.byte();
    if (type === 1 || type === 2) this.#take(8);
    else if (type === 3 || type === 4) this.#take(this.varint());
    else if (type !== 0 && type !== 5) this.fail();
    return this.#bytes.subarray(start, this.at);
  }

  #take(length: number): Uint8Array {
    if (length > this.#bytes.length - this.at) this.fail();
    const taken = this.#bytes.subarray(this.at, this.at + length);
    this.at += length;
    return taken;
  }
}
