import Database from 'better-sqlite3';

/** Nothing that one of the libraries does not know: Turso has no recursive CTEs yet. */
const sql = (n: number) =>
  `SELECT sum((a.id + b.id) % 7) AS s FROM item AS a CROSS JOIN item AS b WHERE b.id <= ${n}`;

const ROWS = 10_000;
const SAMPLE = 50;

let perMs: number | undefined;

/** A query of `item`, with 10,000 rows in it, that takes about so many ms: the bound is found on this machine, in this run. */
export function slowQuery(ms: number): string {
  if (perMs === undefined) {
    const db = new Database(':memory:');
    db.exec('CREATE TABLE item (id INTEGER PRIMARY KEY)');
    const insert = db.prepare('INSERT INTO item (id) VALUES (?)');
    db.transaction(() => {
      for (let id = 1; id <= ROWS; id++) insert.run(id);
    })();
    const run = db.prepare(sql(SAMPLE));
    const took = Array.from({ length: 5 }, () => {
      const started = performance.now();
      run.get();
      return performance.now() - started;
    });
    // The shortest: nothing else ran then.
    perMs = SAMPLE / Math.min(...took);
    db.close();
  }
  return sql(Math.ceil(perMs * ms));
}
