import { createHash } from 'node:crypto';
import type { DatabaseSync } from 'node:sqlite';

interface Table {
  name: string;
  rootpage: number;
}

/** All that is in a database and that its replicas must have in common, in words that compare. */
export function contentOf(db: DatabaseSync): Record<string, unknown> {
  const tables = all<Table>(
    db,
    `SELECT name, rootpage FROM sqlite_schema WHERE type = 'table' AND name <> 'poolite_replica'
      AND name NOT LIKE 'sqlite\\_stat%' ESCAPE '\\' ORDER BY name`,
  );
  const content: Record<string, unknown> = {
    schema: all(
      db,
      `SELECT type, name, tbl_name, sql FROM sqlite_schema WHERE name <> 'poolite_replica'
        AND name NOT LIKE 'sqlite\\_stat%' ESCAPE '\\' ORDER BY type, CASE type WHEN 'trigger' THEN rowid ELSE name END`,
    ),
    user_version: all(db, 'PRAGMA user_version'),
    application_id: all(db, 'PRAGMA application_id'),
    integrity: all(db, 'PRAGMA integrity_check'),
    foreignKeys: violations(db),
  };
  for (const { name, rootpage } of tables) {
    const table = `"${name.replaceAll('"', '""')}"`;
    if (rootpage === 0) continue;
    const statement = db.prepare(`SELECT * FROM ${table}`);
    statement.setReadBigInts(true);
    content[`table ${name}`] = statement
      .all()
      .map((row) => Object.values(row).map(word).join(' '))
      .sort();
  }
  return content;
}

function all<Row>(db: DatabaseSync, sql: string): Row[] {
  return db.prepare(sql).all() as Row[];
}

/** Rows whose foreign keys are violated; what SQLite says where a key refers to nothing that could be one. */
function violations(db: DatabaseSync): unknown[] {
  try {
    // By table and by row number, which is another on each machine.
    return all<object>(db, 'PRAGMA foreign_key_check')
      .map((row) => JSON.stringify({ ...row, rowid: 0 }))
      .sort();
  } catch (error) {
    return [(error as Error).message];
  }
}

/** A value with its type: 1.0 is not 1, nor is a text a blob. But -0.0 is 0.0 to SQL, and to sessions. */
function word(value: unknown): string {
  if (value === null) return 'null';
  if (typeof value === 'bigint') return `int ${value}`;
  if (typeof value === 'number') return `real ${value}`;
  const kind = typeof value === 'string' ? 'text' : 'blob';
  const bytes = typeof value === 'string' ? Buffer.from(value) : (value as Uint8Array);
  if (bytes.length < 100) return `${kind} ${Buffer.from(bytes).toString('hex')}`;
  return `${kind} ${bytes.length} ${createHash('sha256').update(bytes).digest('hex')}`;
}
