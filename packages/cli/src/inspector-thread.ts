import { statSync } from 'node:fs';
import { parentPort, workerData } from 'node:worker_threads';
import Database from 'better-sqlite3';

/** What the thread is started with. */
export interface InspectorData {
  /** An absolute path. */
  file: string;
  access: 'read' | 'write';
}

export type InspectorQuestion = { sql: string } | 'close';

export type InspectorAnswer =
  | { rows: unknown[] }
  | { failure: { message: string; code: string } }
  | 'closed';

/** How long a lock is waited for, in ms. */
const TIMEOUT = 5000;

const { file, access } = workerData as InspectorData;
const hadWal = walSize() !== undefined;
let db: Database.Database | undefined;

parentPort?.on('message', (question: InspectorQuestion) => {
  parentPort?.postMessage(question === 'close' ? close() : ask(question.sql));
});

function ask(sql: string): InspectorAnswer {
  try {
    db ??= open();
    return { rows: db.prepare(sql).all() };
  } catch (error) {
    const { message, code } = error as Error & { code?: string };
    return { failure: { message, code: code ?? 'ERROR' } };
  }
}

/**
 * Opens the file, usually for reading only. A database in WAL mode needs its -wal and -shm beside it: where
 * there are none, and the folder may not be written, nobody else writes to it either.
 * https://sqlite.org/wal.html#read_only_databases
 */
function open(): Database.Database {
  const readonly = access === 'read';
  const opened = new Database(file, { readonly, fileMustExist: true, timeout: TIMEOUT });
  try {
    opened.pragma('schema_version');
    return opened;
  } catch (error) {
    opened.close();
    if ((error as { code?: string }).code !== 'SQLITE_CANTOPEN' || hadWal || !readonly) throw error;
    const path = encodeURI(file).replace(/[?#]/g, encodeURIComponent);
    return new Database(`file:${path}?immutable=1`, { readonly: true });
  }
}

/**
 * A connection that only reads makes an empty -wal and a -shm, and cannot remove them. One that may
 * write does so when it is the last to close; it writes nothing else.
 */
function close(): InspectorAnswer {
  db?.close();
  if (access === 'read' && !hadWal && walSize() === 0) {
    try {
      const last = new Database(file, { fileMustExist: true, timeout: 0 });
      last.pragma('schema_version');
      last.close();
    } catch {
      // The file may not be written, or somebody else is busy with it: then the two files stay.
    }
  }
  return 'closed';
}

function walSize(): number | undefined {
  return statSync(`${file}-wal`, { throwIfNoEntry: false })?.size;
}
