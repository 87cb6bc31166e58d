import type { Stats } from 'node:fs';
import { join } from 'node:path';
import type { Connection, ConnectionOptions } from '../../threads/connection.js';
import type { BackupFile } from './options.js';
import { statOf } from './place.js';
import { plainConnection } from './scratch.js';

/** What is recorded of a backup. */
type Known = Pick<
  BackupFile,
  'pages' | 'pageSize' | 'verdict' | 'verified' | 'problems' | 'compressed'
>;

const FILE = '.poolite-backups';
/** How long, in ms, whoever is just writing its last lines is waited for. */
const BRIEF = 250;
const SCHEMA = `
  CREATE TABLE IF NOT EXISTS source (id INTEGER PRIMARY KEY CHECK (id = 1), file TEXT NOT NULL);
  CREATE TABLE IF NOT EXISTS backup (
    name TEXT PRIMARY KEY, bytes INTEGER NOT NULL, modified INTEGER NOT NULL, known TEXT NOT NULL
  );
`;

/**
 * What is known of the backups of a folder, in a small SQLite file in it, whose write lock is what
 * one process at a time holds while it makes a backup there: the kernel drops it with its holder.
 */
export class Catalogue {
  readonly #connection: Connection;

  private constructor(connection: Connection) {
    this.#connection = connection;
  }

  /** With its lock; undefined where another has that. */
  static lock(directory: string, options: ConnectionOptions): Catalogue | undefined {
    let connection: Connection | undefined;
    try {
      connection = plainConnection(options, join(directory, FILE), 'write', BRIEF);
      // Others may read meanwhile. https://sqlite.org/lockingv3.html
      connection.control('BEGIN IMMEDIATE');
      connection.pragma('busy_timeout = 5000');
      connection.db.exec(SCHEMA);
      return new Catalogue(connection);
    } catch (error) {
      connection?.close();
      if ((error as { code?: string }).code?.startsWith('SQLITE_BUSY')) return undefined;
      throw error;
    }
  }

  /** For reading, and putting right what a killed process left half written; undefined where there is none. */
  static read(directory: string, options: ConnectionOptions): Catalogue | undefined {
    const file = join(directory, FILE);
    if ((statOf(file)?.size ?? 0) === 0) return undefined;
    return new Catalogue(plainConnection(options, file, 'write', 5000));
  }

  /** What was recorded of a file, where it is still the one that it was recorded of. */
  find(name: string, { size, mtimeMs }: Stats): Known | undefined {
    const sql = 'SELECT known FROM backup WHERE name = ? AND bytes = ? AND modified = ?';
    const row = this.#connection.db.prepare(sql).get([name, size, Math.floor(mtimeMs)]);
    return row === undefined ? undefined : (JSON.parse((row as { known: string }).known) as Known);
  }

  record(name: string, { size, mtimeMs }: Stats, file: BackupFile): void {
    const { pages, pageSize, verdict, verified, problems, compressed } = file;
    const known: Known = { pages, pageSize, verdict, verified, problems, compressed };
    this.#connection.db
      .prepare('INSERT OR REPLACE INTO backup (name, bytes, modified, known) VALUES (?, ?, ?, ?)')
      .run([name, size, Math.floor(mtimeMs), JSON.stringify(known)]);
  }

  forget(name: string): void {
    this.#connection.db.prepare('DELETE FROM backup WHERE name = ?').run([name]);
  }

  /** The database whose backups these are. */
  get source(): string | undefined {
    const row = this.#connection.db.prepare('SELECT file FROM source').get([]);
    return (row as { file: string } | undefined)?.file;
  }

  set source(file: string) {
    const sql = 'INSERT OR REPLACE INTO source (id, file) VALUES (1, ?)';
    this.#connection.db.prepare(sql).run([file]);
  }

  /** Writes it down, and lets go of the lock. */
  close(): void {
    const { db } = this.#connection;
    try {
      if (db.inTransaction) this.#connection.control('COMMIT');
    } finally {
      this.#connection.close();
    }
  }
}
