import type { ChangeMessage } from '../observing/events.js';
import { ANY_CHANGE, type Changed, type ChangedTable, UNNAMED } from '../threads/changed.js';
import type { Line } from '../threads/line.js';
import type { Command } from '../threads/protocol.js';

/** Who wants to know what commits change. */
export interface ChangeListener {
  /** The most rowids of a table that it wants. */
  readonly rowids: number;
  /** A commit was made; see `Changed`. */
  changed(text: string): void;
}

export interface Listening {
  /** Resolves once every later commit will be told of. */
  readonly ready: Promise<void>;
  stop(): void;
}

/** Has the writer tell what its commits change, for as long as somebody wants to know. */
export class Changes {
  /** Sends a command to the writer. */
  readonly #send: (command: Command) => void;
  /** The way to it, while it is open. */
  #line: Line | undefined;
  /** How often it looks for commits of others, in ms; 0: never. */
  readonly #interval: number;
  readonly #listeners = new Set<ChangeListener>();
  /** What the writer was told last; -1: nothing. */
  #rowids = -1;
  /** The call that told it, and whether that is answered. */
  #task = 0;
  #isReady = false;
  #waiting: (() => void)[] = [];
  #timer: NodeJS.Timeout | undefined;

  constructor(send: (command: Command) => void, interval: number) {
    this.#send = send;
    this.#interval = interval;
  }

  listen(listener: ChangeListener): Listening {
    this.#listeners.add(listener);
    this.#tell();
    const ready = this.#isReady
      ? Promise.resolve()
      : new Promise<void>((resolve) => this.#waiting.push(resolve));
    const stop = () => {
      if (this.#listeners.delete(listener)) this.#tell();
    };
    return { ready, stop };
  }

  /** The writer is open, perhaps another than before, whose last commits nobody has told of. */
  opened(line: Line): void {
    this.#line = line;
    const wasTold = this.#rowids >= 0;
    this.#rowids = -1;
    this.#tell();
    if (wasTold) this.changed(ANY_CHANGE);
  }

  /** The writer is gone; another will come. */
  lost(): void {
    this.#line = undefined;
    this.#watch(false);
  }

  changed(text: string): void {
    for (const listener of this.#listeners) listener.changed(text);
  }

  /** The pool has ended: who waits need not any more. */
  close(): void {
    this.lost();
    for (const resolve of this.#waiting.splice(0)) resolve();
  }

  #tell(): void {
    const line = this.#line;
    const rowids = Math.max(-1, ...[...this.#listeners].map((listener) => listener.rowids));
    if (line === undefined || rowids === this.#rowids) return;
    this.#rowids = rowids;
    this.#isReady = false;
    const task = line.expect({
      reply: () => {
        // It was told something else since.
        if (this.#task !== task) return;
        this.#isReady = rowids >= 0;
        for (const resolve of this.#waiting.splice(0)) resolve();
      },
      // The writer that comes after it is told anew.
      lost: () => {},
    });
    this.#task = task;
    this.#send({ type: 'feed', task, on: rowids >= 0, rowids: Math.max(0, rowids) });
    this.#watch(rowids >= 0 && !line.isRemote);
  }

  #watch(isWanted: boolean): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
    if (!isWanted || this.#interval === 0) return;
    // Nobody waits for what it says.
    this.#timer = setInterval(() => this.look(), this.#interval).unref();
  }

  /** Has the writer look for commits of others, where somebody listens. */
  look(): void {
    if (this.#rowids >= 0) this.#line?.post([{ type: 'look' }]);
  }
}

/** Tables of the pool's and of SQLite's own. */
function isInternal([schema, name]: ChangedTable): boolean {
  return schema === 'temp' || /^(sqlite_|poolite_(ledger|replica|requests)$)/.test(name);
}

/** A table's name, as messages tell it. */
export function tableName(schema: string, name: string): string {
  return schema === 'main' ? name : `${schema}.${name}`;
}

/** The text that was read last, and what it says: commits that follow one another are mostly alike. */
let lastText = '';
let lastTables: readonly ChangedTable[] | 'any' = 'any';

/** The tables that the text of a change tells of. */
function readTables(text: string): readonly ChangedTable[] | 'any' {
  if (text !== lastText) {
    const [, all, changed] = JSON.parse(text) as Changed;
    lastTables = all === 1 ? 'any' : changed.filter((table) => !isInternal(table));
    lastText = text;
  }
  return lastTables;
}

/** What the text of a change says; undefined where nothing changed that anybody could read. */
export function readChange(
  text: string,
  { rowids, bigint }: { rowids: boolean; bigint: boolean },
): ChangeMessage | undefined {
  const tables = readTables(text);
  if (tables === 'any') return { tables: [] };
  if (tables.length === 0) return undefined;
  const message: ChangeMessage = {
    tables: tables.map(([schema, name]) => tableName(schema, name)),
  };
  if (!rowids) return message;
  message.rowids = {};
  for (const [schema, name, flags, ...ids] of tables) {
    if ((flags & UNNAMED) !== 0) continue;
    message.rowids[tableName(schema, name)] = [...new Set(ids)].map((id) => {
      const number = Number(id);
      return bigint || !Number.isSafeInteger(number) ? BigInt(id) : number;
    });
  }
  return message;
}
