import type { DatabaseSync, StatementSync } from 'node:sqlite';
import type { Position } from '../questions.js';

/** Where the replica is in the log, and which requests were answered: made where they are missing. */
const MAKE = `
CREATE TABLE IF NOT EXISTS main.poolite_replica (
  id INTEGER PRIMARY KEY CHECK (id = 1), number INTEGER NOT NULL, token TEXT NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS main.poolite_requests (
  id TEXT NOT NULL PRIMARY KEY, at INTEGER NOT NULL, result BLOB
) WITHOUT ROWID, STRICT;
INSERT OR IGNORE INTO main.poolite_replica VALUES (1, 0, '');`;

/** Makes the store's own tables where they are missing. */
export function makeOwnTables(db: DatabaseSync): void {
  db.exec('BEGIN IMMEDIATE');
  try {
    db.exec(MAKE);
    db.exec('COMMIT');
  } catch (error) {
    if (db.isTransaction) db.exec('ROLLBACK');
    throw error;
  }
}

/** The place in the file that says where it is in the log. */
export class Place {
  readonly #read: StatementSync;
  readonly #write: StatementSync;

  constructor(db: DatabaseSync) {
    this.#read = db.prepare('SELECT number, token FROM main.poolite_replica WHERE id = 1');
    this.#write = db.prepare(
      'INSERT INTO main.poolite_replica VALUES (1, ?, ?) ' +
        'ON CONFLICT (id) DO UPDATE SET number = excluded.number, token = excluded.token',
    );
  }

  read(): Position {
    const { number, token } = (this.#read.get() ?? { number: 0, token: '' }) as unknown as Position;
    return { number, token };
  }

  write({ number, token }: Position): void {
    this.#write.run(number, token);
  }
}
