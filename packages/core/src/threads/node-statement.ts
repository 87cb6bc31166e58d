import type { StatementSync } from 'node:sqlite';
import { Tokens } from '../statements/tokens.js';
import { Binder } from './binder.js';
import type { RunResult, SqliteStatement } from './engine.js';

type Row = Record<string, unknown>;
type RowMaker = (values: unknown[]) => Row;

/** From so many rows on, asking for the column names once costs less than objects made by Node.js. */
const MANY_ROWS = 16;

/** What a statement needs to know of its connection. */
export interface Home {
  readonly native: { prepare(sql: string): StatementSync };
  /** Streams over rows that have not ended. */
  iterators: number;
  /** Runs what may throw; the error is then the one that better-sqlite3 would throw. */
  guard<T>(work: () => T): T;
  totalChanges(): number;
}

/** A statement of node:sqlite in the shape of better-sqlite3's. */
export class NodeStatement implements SqliteStatement {
  readonly reader: boolean;
  readonly #home: Home;
  readonly #native: StatementSync;
  readonly #sql: string;
  readonly #binder: Binder;
  readonly #safe: boolean;
  /** Its first word, in upper case. */
  readonly #verb: string;
  #readonly: boolean | undefined;
  #raw = false;
  /** Whether rows come as arrays from Node.js now. */
  #arrays = true;
  /** Whether many rows came last time. */
  #many = false;
  #locked = false;
  #names: string[] = [];
  #maker: RowMaker | undefined;

  constructor(home: Home, native: StatementSync, sql: string, safe: boolean) {
    this.#home = home;
    this.#native = native;
    this.#sql = sql;
    this.#safe = safe;
    this.#binder = new Binder(sql);
    this.#verb = first(sql).keyword();
    this.reader = native.columns().length > 0;
    native.setAllowBareNamedParameters(false);
    native.setReturnArrays(true);
    // As numbers, integers beyond 2^53 are an error there; made from bigints they are rounded.
    native.setReadBigInts(true);
  }

  /** https://sqlite.org/c3ref/stmt_readonly.html: which is nothing but a look at its program. */
  get readonly(): boolean {
    this.#readonly ??= isReadonly(this.#home, this.#verb, this.#sql);
    return this.#readonly;
  }

  run(params: unknown): RunResult {
    this.#idle();
    if (this.#home.iterators > 0) throw busyConnection();
    const bound = this.#binder.bind(params);
    // SQLite says of what changes no rows what it said of the last that did.
    const before = COUNTED.has(this.#verb) ? undefined : this.#home.totalChanges();
    const result = this.#home.guard(() => this.#native.run(...(bound as [])));
    const isChanged = before === undefined || this.#home.totalChanges() !== before;
    const hasChanged = isChanged && !UNCHANGING.has(this.#verb);
    return {
      changes: hasChanged ? Number(result.changes) : 0,
      lastInsertRowid: this.#safe ? result.lastInsertRowid : Number(result.lastInsertRowid),
    };
  }

  get(params: unknown): unknown {
    this.#returnsData();
    this.#idle();
    const bound = this.#binder.bind(params);
    this.#want(this.#raw);
    const row = this.#home.guard(() => this.#native.get(...(bound as [])) as unknown);
    if (row === undefined) return undefined;
    return this.#raw ? this.#values(row as unknown[]) : this.#object(row as Row);
  }

  all(params: unknown): unknown[] {
    this.#returnsData();
    this.#idle();
    const bound = this.#binder.bind(params);
    const arrays = this.#raw || this.#many;
    this.#want(arrays);
    const rows = this.#home.guard(() => this.#native.all(...(bound as [])) as unknown[]);
    this.#many = rows.length >= MANY_ROWS;
    if (this.#raw) for (const row of rows) this.#values(row as unknown[]);
    else if (!arrays) for (let i = 0; i < rows.length; i++) rows[i] = this.#object(rows[i] as Row);
    else if (rows.length > 0) {
      const maker = this.#makerOf(this.columns().map(({ name }) => name));
      for (let i = 0; i < rows.length; i++) rows[i] = maker(this.#values(rows[i] as unknown[]));
    }
    return rows;
  }

  iterate(params: unknown): IterableIterator<unknown> {
    this.#returnsData();
    this.#idle();
    const bound = this.#binder.bind(params);
    this.#want(true);
    const rows = this.#home.guard(() => this.#native.iterate(...(bound as [])));
    this.#locked = true;
    this.#home.iterators++;
    return this.#stream(rows as Iterator<unknown[]>);
  }

  raw(on = true): this {
    if (!this.reader) {
      throw new TypeError('The raw() method is only for statements that return data');
    }
    this.#idle();
    this.#raw = on;
    return this;
  }

  columns(): { name: string }[] {
    if (!this.reader) {
      throw new TypeError('The columns() method is only for statements that return data');
    }
    return this.#home.guard(() => this.#native.columns());
  }

  #stream(rows: Iterator<unknown[]>): IterableIterator<unknown> {
    const raw = this.#raw;
    let maker: RowMaker | undefined;
    let isOpen = true;
    const end = (): IteratorReturnResult<undefined> => {
      if (isOpen) {
        isOpen = false;
        this.#locked = false;
        this.#home.iterators--;
      }
      return { value: undefined, done: true };
    };
    return {
      next: () => {
        if (!isOpen) return end();
        let next: IteratorResult<unknown[]>;
        try {
          next = this.#home.guard(() => rows.next());
        } catch (error) {
          end();
          throw error;
        }
        if (next.done === true) return end();
        const values = this.#values(next.value);
        if (raw) return { value: values, done: false };
        maker ??= this.#makerOf(this.columns().map(({ name }) => name));
        return { value: maker(values), done: false };
      },
      return: () => {
        if (isOpen) this.#home.guard(() => rows.return?.());
        return end();
      },
      [Symbol.iterator]() {
        return this;
      },
    };
  }

  #returnsData(): void {
    if (!this.reader) {
      throw new TypeError('This statement does not return data. Use run() instead');
    }
  }

  #idle(): void {
    if (this.#locked) throw new TypeError('This statement is busy executing a query');
  }

  #want(arrays: boolean): void {
    if (arrays === this.#arrays) return;
    this.#home.guard(() => this.#native.setReturnArrays(arrays));
    this.#arrays = arrays;
  }

  /** A row's own values, as they are to be. */
  #values(row: unknown[]): unknown[] {
    for (let i = 0; i < row.length; i++) {
      const value = row[i];
      if (typeof value === 'bigint') {
        if (!this.#safe) row[i] = Number(value);
      } else if (typeof value === 'object' && value !== null) {
        row[i] = bufferOf(value as Uint8Array);
      }
    }
    return row;
  }

  /** From a row without prototype one as better-sqlite3 makes it. */
  #object(row: Row): Row {
    const values: unknown[] = [];
    const names: string[] = [];
    for (const name in row) {
      names.push(name);
      values.push(row[name]);
    }
    return this.#makerOf(names)(this.#values(values));
  }

  /** Names may change from run to run: SQLite prepares a statement anew when the schema has changed. */
  #makerOf(names: string[]): RowMaker {
    const known = this.#names;
    let same = this.#maker !== undefined && known.length === names.length;
    for (let i = 0; same && i < names.length; i++) same = known[i] === names[i];
    if (same) return this.#maker as RowMaker;
    this.#names = names;
    this.#maker = rowMaker(names);
    return this.#maker;
  }
}

const WRITES: ReadonlySet<string> = new Set(['INSERT', 'REPLACE', 'UPDATE', 'DELETE']);
/** What never changes rows; some of it must run where nothing can be asked of the file. */
const UNCHANGING: ReadonlySet<string> = new Set([
  ...['BEGIN', 'COMMIT', 'END', 'ROLLBACK', 'SAVEPOINT', 'RELEASE', 'PRAGMA', 'ATTACH', 'DETACH'],
  ...['SELECT', 'VALUES', 'EXPLAIN', 'VACUUM', 'ANALYZE', 'REINDEX'],
]);
/** Whose changes are known without a look at what all statements together have changed. */
const COUNTED: ReadonlySet<string> = new Set([...WRITES, ...UNCHANGING]);

/** The first word of a text, behind blanks, comments and semicolons. */
function first(sql: string): Tokens {
  const tokens = new Tokens(sql);
  do tokens.next();
  while (tokens.is(';'));
  return tokens;
}

/** The instructions that make a statement one that writes: resolveP2Values in
 * https://sqlite.org/src/file/src/vdbeaux.c */
const WRITING: ReadonlySet<string> = new Set(['Checkpoint', 'JournalMode', 'Vacuum']);

function isReadonly(home: Home, verb: string, sql: string): boolean {
  if (verb === 'SELECT' || verb === 'VALUES') return true;
  if (WRITES.has(verb)) return false;
  const text = verb === 'EXPLAIN' ? sql : `EXPLAIN ${sql.slice(first(sql).start)}`;
  const program = home.guard(() => home.native.prepare(text).all()) as {
    opcode: string;
    p2: number;
  }[];
  return !program.some(
    ({ opcode, p2 }) => WRITING.has(opcode) || (opcode === 'Transaction' && p2 !== 0),
  );
}

export function busyConnection(): TypeError {
  return new TypeError('This database connection is busy executing a query');
}

function bufferOf({ buffer, byteOffset, byteLength }: Uint8Array): Buffer {
  return Buffer.from(buffer as ArrayBuffer, byteOffset, byteLength);
}

/** Rows that are made by one literal share a hidden class. */
function rowMaker(names: readonly string[]): RowMaker {
  if (names.includes('__proto__')) {
    return (values) => {
      const row: Row = {};
      names.forEach((name, i) => {
        row[name] = values[i];
      });
      return row;
    };
  }
  const fields = names.map((name, i) => `${JSON.stringify(name)}:v[${i}]`);
  return Function('v', `return {${fields.join(',')}}`) as RowMaker;
}
