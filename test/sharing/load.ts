import { createPool } from '@poolite/core';
import Database from 'better-sqlite3';

/**
 * One of several processes that insert rows as fast as they can, for a while, and tell how that
 * went. Over IPC: it says 'ready', waits for the moment at which to begin, in ms since 1970, and
 * answers with a `LoadReport`.
 *
 * Arguments: the file, its name, how many ms, how many callers, how: 'shared', 'own' or 'plain', and for how
 * many ms it works before it counts.
 */
const [file = '', name = '', ms = '1000', callers = '1', how = 'shared', warmUp = '0'] =
  process.argv.slice(2);

export interface LoadReport {
  name: string;
  rows: number;
  /** The longest that one call took, in ms. */
  worst: number;
  errors: Record<string, number>;
}

const INSERT = 'INSERT INTO entry (who, text) VALUES (?, ?)';
const report: LoadReport = { name, rows: 0, worst: 0, errors: {} };

const failed = (error: unknown) => {
  const code = String((error as { code?: unknown }).code ?? error);
  report.errors[code] = (report.errors[code] ?? 0) + 1;
};

/** What an application does without a pool: a connection, a busy timeout, one insert at a time. */
function plain() {
  const db = new Database(file, { timeout: 10_000 });
  db.pragma('synchronous = FULL');
  const insert = db.prepare(INSERT);
  return {
    run: (until: number) => {
      while (Date.now() < until) {
        const started = performance.now();
        try {
          insert.run(name, 'some text');
          report.rows++;
        } catch (error) {
          failed(error);
        }
        report.worst = Math.max(report.worst, performance.now() - started);
      }
    },
    close: () => db.close(),
  };
}

function pooled() {
  const writer = how === 'shared' ? 'shared' : 'own';
  const pool = createPool(file, { writer, synchronous: 'full', readers: 1 });
  const call = async (until: number) => {
    while (Date.now() < until) {
      const started = performance.now();
      try {
        await pool.run(INSERT, [name, 'some text']);
        report.rows++;
      } catch (error) {
        failed(error);
      }
      report.worst = Math.max(report.worst, performance.now() - started);
    }
  };
  return {
    run: (until: number) => Promise.all(Array.from({ length: Number(callers) }, () => call(until))),
    close: () => pool.close(),
  };
}

const load = how === 'plain' ? plain() : pooled();
await load.run(Date.now() + Number(warmUp));
report.rows = 0;
report.worst = 0;
process.send?.('ready');
process.once('message', (begin) => {
  // Everybody begins at the same moment.
  setTimeout(
    async () => {
      await load.run(Number(begin) + Number(ms));
      process.send?.(report);
      process.once('message', async () => {
        await load.close();
        process.disconnect();
      });
    },
    Math.max(0, Number(begin) - Date.now()),
  );
});
