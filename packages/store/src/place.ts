import type { DatabaseSync } from 'node:sqlite';
import { makeOwnTables, Place } from './gate/own-tables.js';
import { Schema } from './gate/schema.js';
import type { SnapshotHead } from './snapshots.js';

function open(file: string, options: { readOnly?: boolean } = {}): DatabaseSync {
  const { DatabaseSync: Database } = process.getBuiltinModule('node:sqlite');
  return new Database(file, options);
}

/**
 * Makes a database the same as another, in one transaction, while others have it open: they see the one state or the
 * other, and what they had prepared is prepared again. https://sqlite.org/backup.html
 */
export async function placeOver(from: string, file: string): Promise<void> {
  const source = open(from, { readOnly: true });
  try {
    const { backup } = process.getBuiltinModule('node:sqlite');
    await backup(source, file, { rate: 1000 });
  } finally {
    source.close();
  }
}

/** What the file of a replica is the state of. */
export function headOf(file: string): SnapshotHead {
  const db = open(file, { readOnly: true });
  try {
    const { number, token } = new Place(db).read();
    return { number, token, sqlite: process.versions.sqlite ?? '', schema: new Schema(db).hash };
  } finally {
    db.close();
  }
}

/** Makes a replica that has nothing yet. */
export function makeEmpty(file: string): void {
  const db = open(file);
  try {
    makeOwnTables(db);
  } finally {
    db.close();
  }
}
