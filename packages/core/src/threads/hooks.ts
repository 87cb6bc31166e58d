import { type SqliteDatabase, type SqliteStatement, sqliteLibrary } from './engine.js';
import { ownRequire } from './home.js';

/** What `@poolite/hooks` says: where its extension is. */
interface HooksPackage {
  extensionFile(): string;
  readonly entryPoint: string;
}

let found: HooksPackage | { readonly reason: string } | undefined;

function hooksPackage(): HooksPackage | { readonly reason: string } {
  if (found !== undefined) return found;
  try {
    found = ownRequire()('@poolite/hooks') as HooksPackage;
    found.extensionFile();
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    const isMissing = code === 'MODULE_NOT_FOUND';
    found = { reason: isMissing ? 'the package @poolite/hooks is not installed' : message };
  }
  return found;
}

/** Loads the extension into a connection: the connection's number, or why there is none. */
export function loadHooks(db: SqliteDatabase): number | string {
  const hooks = hooksPackage();
  if ('reason' in hooks) return hooks.reason;
  if (db.loadExtension === undefined) return 'the driver cannot load extensions';
  try {
    db.loadExtension(hooks.extensionFile(), hooks.entryPoint);
    const row = db.prepare('SELECT poolite_connection() AS number').get([]);
    return Number((row as { number: number | bigint }).number);
  } catch (error) {
    return (error as Error).message;
  }
}

/** The calling thread's own connection for interrupting others, by the driver. */
const interrupters = new Map<string, SqliteStatement | undefined>();

/** Interrupts what a connection of this process runs, by its number; false where it cannot. */
export function interrupt(driver: string, connection: number): boolean {
  if (!interrupters.has(driver)) {
    const db = new (sqliteLibrary(driver))(':memory:', {});
    const loaded = typeof loadHooks(db) === 'number';
    interrupters.set(driver, loaded ? db.prepare('SELECT poolite_interrupt(?)') : undefined);
    if (!loaded) db.close();
  }
  const statement = interrupters.get(driver);
  statement?.get([connection]);
  return statement !== undefined;
}
