import { constants, type DatabaseSync } from 'node:sqlite';
import type { Entry } from '../entry.js';
import type { Position } from '../questions.js';
import { HiddenTriggers } from './hidden-triggers.js';
import { Place } from './own-tables.js';
import { Schema } from './schema.js';
import { Sequences } from './sequences.js';
import { applyUntangled } from './untangle.js';

/** Pages in the WAL from which this connection checkpoints itself: the pool's upkeep comes first, as a rule. */
const WAL_PAGES = 10_000;

/**
 * SQLite's own trouble, which says nothing of the entry: BUSY, LOCKED, NOMEM, READONLY, INTERRUPT, IOERR, FULL and
 * CANTOPEN. https://sqlite.org/rescode.html
 */
const TROUBLE: ReadonlySet<number> = new Set([5, 6, 7, 8, 9, 10, 13, 14]);

/** An entry does not go with the file as it is: the file must be replaced. */
export class Unfit extends Error {}

/**
 * Writes into the file what others committed, on a connection of its own: FTS5 keeps what it has read of its tables
 * until another connection has changed them.
 */
export class Applier {
  readonly db: DatabaseSync;
  readonly #schema: Schema;
  readonly #place: Place;
  readonly #sequences: Sequences;
  readonly #triggers: HiddenTriggers;

  constructor(db: DatabaseSync) {
    this.db = db;
    // What others wrote has been checked where it was written. A commit that is lost with the power is in the log.
    db.exec(`
      PRAGMA foreign_keys = OFF;
      PRAGMA ignore_check_constraints = ON;
      PRAGMA synchronous = NORMAL;
      PRAGMA wal_autocheckpoint = ${WAL_PAGES};`);
    this.#schema = new Schema(db);
    this.#place = new Place(db);
    this.#sequences = new Sequences(db, this.#schema);
    this.#triggers = new HiddenTriggers(db, this.#schema);
  }

  /** Another connection has put another file in this one's place. */
  replaced(): void {
    this.#schema.forget();
    this.#triggers.forget();
  }

  /**
   * Applies an entry, and moves the position, in one transaction.
   *
   * @throws Unfit where the file is not what the entry was written for; what SQLite throws where it has trouble.
   */
  apply(entry: Entry): void {
    const { db } = this;
    db.exec('BEGIN IMMEDIATE');
    try {
      this.#check(entry);
      this.#apply(entry);
      this.#place.write(entry);
      db.exec('COMMIT');
    } catch (error) {
      if (db.isTransaction) db.exec('ROLLBACK');
      this.replaced();
      const { errcode } = error as { errcode?: number };
      if (error instanceof Unfit || (errcode !== undefined && TROUBLE.has(errcode & 255)))
        throw error;
      throw new Unfit(`entry ${entry.number} does not apply: ${(error as Error).message}`, {
        cause: error,
      });
    }
  }

  #check({ number, previous }: Entry): void {
    const position: Position = this.#place.read();
    if (number !== position.number + 1) {
      throw new Unfit(`entry ${number} does not follow ${position.number}, where the replica is`);
    }
    if (previous !== position.token) {
      throw new Unfit(
        `entry ${number} follows another entry ${position.number} than the replica has`,
      );
    }
  }

  #apply({ number, parts, sequences, schema, userVersion, applicationId }: Entry): void {
    this.#sequences.forget();
    this.#sequences.mark();
    for (const part of parts) {
      if (part.type === 'changes') {
        this.#triggers.hide();
        this.#changes(part.bytes);
      } else if (part.type === 'ddl') {
        this.#triggers.show();
        this.db.prepare(part.sql).run();
      } else {
        throw new Unfit(`entry ${number} is a whole database`);
      }
    }
    this.#sequences.set(sequences);
    if (userVersion !== undefined) this.db.exec(`PRAGMA main.user_version = ${userVersion | 0}`);
    if (applicationId !== undefined)
      this.db.exec(`PRAGMA main.application_id = ${applicationId | 0}`);
    if (this.#schema.hash !== schema) {
      throw new Unfit(`the schema after entry ${number} is not the one of who wrote it`);
    }
  }

  #changes(bytes: Uint8Array): void {
    // What SQLite cannot apply, it undoes as a whole.
    if (this.#applied(bytes) || applyUntangled(this.db, bytes, isShared)) return;
    throw new Error('rows are not what they were where they were changed');
  }

  #applied(bytes: Uint8Array): boolean {
    try {
      return this.db.applyChangeset(bytes, {
        filter: isShared,
        onConflict: () => constants.SQLITE_CHANGESET_ABORT,
      });
    } catch (error) {
      // A primary key that changes into one that compares as the same fails like this.
      if ((error as { errcode?: number }).errcode === 1) return false;
      throw error;
    }
  }
}

/** Where a replica is, and statistics, are each machine's own. */
function isShared(table: string): boolean {
  return table !== 'poolite_replica' && !table.startsWith('sqlite_stat');
}
