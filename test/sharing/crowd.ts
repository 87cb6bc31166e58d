import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import Database from 'better-sqlite3';
import type { LoadReport } from './load.ts';

const program = fileURLToPath(new URL('./load.ts', import.meta.url));

/** How long, in ms, a process works before it counts: a server runs for longer than its JIT takes. */
const WARM_UP = 1500;
/** Until all of so many processes have heard when to begin. */
const SOON = 100;

export interface CrowdReport {
  /** Inserts a second, of all together. */
  perSecond: number;
  /** The rows of the slowest process against those of the fastest. */
  evenness: number;
  /** The longest that any call took, in ms. */
  worst: number;
  errors: Record<string, number>;
  acknowledged: number;
  stored: number;
}

export type How = 'shared' | 'own' | 'plain';

export interface CrowdOptions {
  processes: number;
  callers: number;
  ms: number;
  how: How;
  /** How long they work before they are measured, in ms. */
  warmUp?: number;
}

export function makeEntries(file: string): void {
  const db = new Database(file);
  db.exec(`
    PRAGMA journal_mode = WAL;
    CREATE TABLE IF NOT EXISTS entry (id INTEGER PRIMARY KEY, who TEXT, text TEXT);
  `);
  db.close();
}

/** Lets processes insert into one file for so many ms, all at once. */
export async function crowd(
  file: string,
  { processes, callers, ms, how, warmUp = WARM_UP }: CrowdOptions,
): Promise<CrowdReport> {
  makeEntries(file);
  const children: ChildProcess[] = [];
  const reports: LoadReport[] = [];
  try {
    for (let i = 0; i < processes; i++) {
      const args = [file, `p${i}`, String(ms), String(callers), how, String(warmUp)];
      const execArgv = ['--experimental-strip-types', '--no-warnings'];
      children.push(
        fork(program, args, { execArgv, stdio: ['ignore', 'inherit', 'inherit', 'ipc'] }),
      );
    }
    for (const message of await all(children)) {
      if (message !== 'ready') throw new Error(`a process said ${JSON.stringify(message)}`);
    }
    const before = count(file);
    const answers = all(children);
    const begin = Date.now() + SOON;
    for (const child of children) child.send(begin);
    reports.push(...((await answers) as LoadReport[]));
    const ended = children.map((child) => once(child, 'exit'));
    for (const child of children) child.send('close');
    await Promise.all(ended);
    const rows = reports.map((each) => each.rows);
    const acknowledged = rows.reduce((sum, each) => sum + each, 0);
    const errors: Record<string, number> = {};
    for (const report of reports) {
      for (const [code, times] of Object.entries(report.errors)) {
        errors[code] = (errors[code] ?? 0) + times;
      }
    }
    return {
      perSecond: (acknowledged * 1000) / ms,
      evenness: Math.min(...rows) / Math.max(...rows),
      worst: Math.max(...reports.map((each) => each.worst)),
      errors,
      acknowledged,
      stored: count(file) - before,
    };
  } finally {
    for (const child of children) if (child.exitCode === null) child.kill('SIGKILL');
  }
}

/** The next message of each; whoever ends instead is an error. */
function all(children: readonly ChildProcess[]): Promise<unknown[]> {
  return Promise.all(
    children.map(
      (child) =>
        new Promise((resolve, reject) => {
          const ended = (code: number | null) => reject(new Error(`a process ended with ${code}`));
          child.once('exit', ended);
          child.once('message', (message) => {
            child.off('exit', ended);
            resolve(message);
          });
        }),
    ),
  );
}

function count(file: string): number {
  const db = new Database(file, { readonly: true });
  const rows = db.prepare('SELECT count(*) FROM entry').pluck().get() as number;
  db.close();
  return rows;
}
