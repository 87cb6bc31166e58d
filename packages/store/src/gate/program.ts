import { randomUUID } from 'node:crypto';
import type { DatabaseSync } from 'node:sqlite';
import type { CommitGate, GateContext, GateError } from '@poolite/core';
import type { Part } from '../entry.js';
import { MOST_ENTRY_BYTES } from '../entry-head.js';
import type { Answer, Position, Question, TurnMessage } from '../questions.js';
import { CatchUp, unexpected } from './catch-up.js';
import { DeferredKeys } from './deferred-keys.js';
import { misuse, storeError } from './gate-error.js';
import { makeOwnTables, Place } from './own-tables.js';
import { Recorder } from './recorder.js';
import { answeredRequests } from './requests.js';
import { Schema } from './schema.js';
import { Sequences } from './sequences.js';
import { Settings } from './settings.js';
import { schemaStatement, verdictOf } from './statements.js';
import { checkTable, checkText, isParent, ordinaryTables } from './tables.js';

/** What the replica gives the gate as `gate.data`. */
export interface GateSettings {
  /** How large an entry may be, in bytes before it is compressed; 256 MB by default. */
  readonly maxEntryBytes?: number;
}

/** Node.js 22's types do not know it yet: https://nodejs.org/api/sqlite.html */
interface Serializing extends DatabaseSync {
  serialize(): Uint8Array;
}

const MAX_ENTRY_BYTES = 256 * 1024 * 1024;
/** From this on, bytes are handed over rather than copied. */
const HANDED_OVER = 64 * 1024;

/** What the writer's thread imports: makes the gate that is asked before each COMMIT. */
export default function openGate(context: GateContext): CommitGate {
  return new Gate(context);
}

class Gate implements CommitGate {
  readonly #context: GateContext;
  readonly #writer: DatabaseSync;
  readonly #limit: number;
  readonly #schema: Schema;
  readonly #recorder: Recorder;
  readonly #place: Place;
  readonly #sequences: Sequences;
  readonly #settings: Settings;
  readonly #keys: DeferredKeys;
  readonly #catchUp: CatchUp;
  #position: Position;
  /** Where the transaction leads, once its entry is stored. */
  #next: Position | undefined;
  /** How often what is proposed has been beaten. */
  #attempt = 0;
  /** What said so of the last, until it is rolled back. */
  #beaten: GateError | undefined;
  /** The file had something in it before its first entry, which must hold all of that. */
  #isSeed: boolean;

  constructor(context: GateContext) {
    const writer = context.writer as DatabaseSync;
    const { maxEntryBytes } = (context.data ?? {}) as GateSettings;
    this.#context = context;
    this.#writer = writer;
    this.#limit = maxEntryBytes ?? MAX_ENTRY_BYTES;
    makeOwnTables(writer);
    this.#schema = new Schema(writer);
    // It comes before any statement that writes is prepared: see there.
    this.#recorder = new Recorder(writer, this.#schema);
    this.#place = new Place(writer);
    this.#sequences = new Sequences(writer, this.#schema);
    this.#settings = new Settings(writer);
    this.#keys = new DeferredKeys(writer, this.#schema);
    this.#position = this.#place.read();
    this.#isSeed = this.#position.number === 0 && !this.#isEmpty();
    this.#catchUp = new CatchUp({
      ask: (question) => this.#ask(question),
      open: () => context.open() as DatabaseSync,
      position: () => this.#place.read(),
      check: () => this.#refuseOwnData(),
    });
    try {
      for (const table of ordinaryTables(writer)) checkTable(writer, table);
      this.#opened();
    } catch (error) {
      this.close();
      throw error;
    }
  }

  begun(): void {
    this.#forget();
  }

  before(sql: string): 'local' | 'replicated' {
    const verdict = verdictOf(sql);
    if (verdict === 'defer') this.#keys.defer();
    if (verdict === 'local' || verdict === 'undo' || verdict === 'defer') return 'local';
    // It is asked again within the transaction that this one needs.
    if (!this.#writer.isTransaction) return 'replicated';
    this.#sequences.mark();
    if (verdict === 'rows') this.#recorder.rows();
    else if (verdict === 'schema') this.#beforeSchema(sql);
    else this.#settings.mark();
    return 'replicated';
  }

  after(sql: string): void {
    const verdict = verdictOf(sql);
    if (verdict === 'undo') this.undoneTo();
    if (verdict !== 'schema') return;
    const { verb } = schemaStatement(sql);
    this.#recorder.schemaChanged(sql, verb === 'REINDEX' || verb === 'ANALYZE');
  }

  undoneTo(): void {
    this.#recorder.undone();
  }

  propose(): void {
    const settings = this.#settings.changed();
    const recorder = this.#recorder;
    if (!recorder.isTouched && Object.keys(settings).length === 0) return;
    const sequences = this.#sequences.changed();
    const changed = recorder.parts();
    const isNothing = changed.length + sequences.length + Object.keys(settings).length === 0;
    if (isNothing && !recorder.isWhole) return;
    this.#keys.check(changed, () => this.#catchUp.db);
    const next = { number: this.#position.number + 1, token: randomUUID() };
    const isWhole = recorder.isWhole || this.#isSeed;
    if (isWhole) this.#checkWhole(this.#pages());
    else this.#checkSize(sizeOf(changed));
    this.#place.write(next);
    const parts = isWhole ? [this.#snapshot()] : changed;
    const question: Question = {
      type: 'propose',
      position: this.#position,
      token: next.token,
      attempt: this.#attempt + 1,
      entry: {
        sqlite: process.versions.sqlite ?? '',
        schema: this.#schema.hash,
        parts,
        sequences,
        ...settings,
        requests: answeredRequests(changed),
      },
    };
    // What recorder keeps may be asked for again, should only a part of the transaction be undone.
    const handed = recorder.keepsParts && !isWhole ? [] : buffersOf(parts);
    const answer = this.#ask(question, handed);
    if (answer.type === 'stored') {
      this.#next = next;
    } else if (answer.type === 'conflict') {
      this.#beaten = storeError(
        'POOL_CONFLICT',
        'another machine has committed first: nothing was stored',
      );
      throw this.#beaten;
    } else throw unexpected('propose', answer);
  }

  committed(): void {
    if (this.#next !== undefined) {
      this.#position = this.#next;
      this.#attempt = 0;
      this.#isSeed = false;
    }
    this.#forget();
  }

  rolledBack(): void {
    const beaten = this.#beaten;
    this.#forget();
    if (beaten === undefined) return;
    try {
      this.#attempt++;
      beaten.again = this.#follow(this.#attempt);
      if (!beaten.again) this.#attempt = 0;
    } catch (error) {
      // Who was beaten hears why it cannot run again.
      this.#attempt = 0;
      const { message, code } = error as GateError;
      Object.assign(beaten, { again: false, message, code: code ?? 'POOL_STORE', cause: error });
    }
  }

  turn(message: unknown): void {
    const { type } = message as TurnMessage;
    if (type !== 'pull') throw new TypeError(`the gate knows no message '${String(type)}'`);
    this.#follow(0);
  }

  close(): void {
    this.#recorder.close();
    this.#catchUp.close();
  }

  #opened(): void {
    const answer = this.#ask({
      type: 'opened',
      position: this.#position,
      schema: this.#schema.hash,
      sqlite: process.versions.sqlite ?? '',
    });
    if (answer.type === 'restored') this.#follow(0);
    if (answer.type !== 'entries') return;
    const isAll = this.#catchUp.take(answer.entries) && !answer.more;
    if (isAll) this.#moved();
    else this.#follow(0);
  }

  /** Applies what others have committed; whether what was beaten may be tried again. */
  #follow(attempt: number): boolean {
    try {
      return this.#catchUp.run(attempt);
    } finally {
      this.#moved();
    }
  }

  #moved(): void {
    const position = this.#place.read();
    if (position.number === this.#position.number && position.token === this.#position.token)
      return;
    this.#position = position;
    this.#isSeed = false;
    this.#schema.forget();
    this.#sequences.forget();
  }

  /** What is in the file would be lost, or mixed with what is in the log. */
  #refuseOwnData(): void {
    if (!this.#isSeed) return;
    throw storeError(
      'POOL_STORE',
      'the file holds data of its own, and so does the log: move the file away to get what is in the log, or use ' +
        'another prefix to begin a log with the file',
    );
  }

  #ask(question: Question, transfer: ArrayBuffer[] = []): Answer {
    const answer = this.#context.ask(question, transfer) as Answer;
    if (answer.type === 'failed') throw storeError(answer.code, answer.message);
    return answer;
  }

  #beforeSchema(sql: string): void {
    const writer = this.#writer;
    checkText(writer, sql);
    const { verb, kind, name } = schemaStatement(sql);
    const parent = verb === 'DROP' && kind === 'TABLE' && isParent(writer, name) ? name : undefined;
    this.#recorder.schema(sql, parent);
    if (verb === 'CREATE' && kind === 'TABLE') this.#try(sql, name);
  }

  /** Makes a table for a moment, since SQLite alone knows all that its text means. */
  #try(sql: string, name: string): void {
    const writer = this.#writer;
    writer.exec('SAVEPOINT poolite_trial');
    try {
      if (ran(writer, sql)) checkTable(writer, name);
    } finally {
      writer.exec('ROLLBACK TO poolite_trial; RELEASE poolite_trial');
      this.#schema.forget();
    }
  }

  #snapshot(): Part {
    // FTS5 keeps what was written to it until a savepoint: https://sqlite.org/src/file/ext/fts5/fts5_main.c
    this.#writer.exec('SAVEPOINT poolite_flush; RELEASE poolite_flush');
    return { type: 'snapshot', bytes: (this.#writer as Serializing).serialize() };
  }

  #pages(): number {
    const row = this.#writer
      .prepare('SELECT page_count * page_size AS size FROM pragma_page_count, pragma_page_size')
      .get() as { size: number };
    return row.size;
  }

  #checkSize(size: number): void {
    if (size <= this.#limit) return;
    throw misuse(
      `the transaction makes an entry of ${size} bytes, and ${this.#limit} are allowed: write it in several transactions`,
    );
  }

  #checkWhole(size: number): void {
    if (size <= MOST_ENTRY_BYTES) return;
    const way = this.#isSeed
      ? 'begin the log with an empty file, and copy the rows into it in several transactions'
      : 'a ROLLBACK TO behind a statement that changes the schema needs the whole database, so change the schema in a ' +
        'transaction of its own';
    throw misuse(
      `the entry would be all ${size} bytes of the file, and ${MOST_ENTRY_BYTES} are allowed: ${way}`,
    );
  }

  #isEmpty(): boolean {
    const { user_version, application_id } = this.#settings.read();
    if (user_version !== 0 || application_id !== 0) return false;
    const sql =
      "SELECT 1 FROM main.sqlite_schema WHERE tbl_name NOT IN ('poolite_replica', 'poolite_requests') LIMIT 1";
    return this.#writer.prepare(sql).get() === undefined;
  }

  #forget(): void {
    // A version of the schema that was rolled back is that of another soon.
    if (this.#recorder.keepsParts) this.#schema.forget();
    this.#recorder.forget();
    this.#sequences.forget();
    this.#settings.forget();
    this.#keys.forget();
    this.#next = undefined;
    this.#beaten = undefined;
  }
}

/** Whether it runs; what it fails with, its caller hears when it runs in earnest. */
function ran(db: DatabaseSync, sql: string): boolean {
  try {
    db.prepare(sql).run();
    return true;
  } catch {
    return false;
  }
}

function sizeOf(parts: readonly Part[]): number {
  return parts.reduce((sum, part) => sum + (part.type === 'ddl' ? part.sql : part.bytes).length, 0);
}

function buffersOf(parts: readonly Part[]): ArrayBuffer[] {
  return parts.flatMap((part) => {
    if (part.type === 'ddl' || part.bytes.length < HANDED_OVER) return [];
    const { buffer, byteLength } = part.bytes;
    return buffer instanceof ArrayBuffer && buffer.byteLength === byteLength ? [buffer] : [];
  });
}
