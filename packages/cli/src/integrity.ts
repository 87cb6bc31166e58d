import type { Inspector } from './inspector.js';

/** How thoroughly a database is looked through. */
export type Thoroughness = 'full' | 'quick';

/** A row whose foreign key leads nowhere: https://sqlite.org/pragma.html#pragma_foreign_key_check */
export interface Orphan {
  table: string;
  rowid: number | null;
  parent: string;
  /** The number of the key in `PRAGMA foreign_key_list`. */
  key: number;
}

export interface Integrity {
  check: Thoroughness;
  /** What SQLite complains of; empty where the database is sound. */
  problems: string[];
  /** The first 100 rows whose foreign keys lead nowhere. */
  orphans: Orphan[];
  /** How many there are. */
  orphanCount: number;
  /** How long it took, in ms. */
  ms: number;
}

const MOST_SHOWN = 100;

/** Whether everything is in order. */
export function isSound({ problems, orphanCount }: Integrity): boolean {
  return problems.length === 0 && orphanCount === 0;
}

/**
 * Looks a database through: its pages, records and constraints, with `full` its indexes too, and
 * then its foreign keys. https://sqlite.org/pragma.html#pragma_integrity_check
 */
export async function integrity(inspector: Inspector, check: Thoroughness): Promise<Integrity> {
  const started = performance.now();
  const pragma = check === 'full' ? 'integrity_check' : 'quick_check';
  const problems = await soundOr(async () => {
    const rows = await inspector.all<Record<string, string>>(`PRAGMA ${pragma}`);
    return rows.flatMap((row) => Object.values(row)).filter((text) => text !== 'ok');
  });
  let orphans: Orphan[] = [];
  let orphanCount = 0;
  if (problems.length === 0) {
    const keys = await soundOr(async () => {
      const from = 'FROM pragma_foreign_key_check';
      orphans = await inspector.all<Orphan>(
        `SELECT "table", rowid, parent, fkid AS key ${from} LIMIT ${MOST_SHOWN}`,
      );
      if (orphans.length > 0) {
        const [row] = await inspector.all<{ count: number }>(`SELECT count(*) AS count ${from}`);
        orphanCount = row?.count ?? 0;
      }
      return [];
    });
    problems.push(...keys);
  }
  return { check, problems, orphans, orphanCount, ms: performance.now() - started };
}

/** What cannot even be read is a problem as well. */
async function soundOr(look: () => Promise<string[]>): Promise<string[]> {
  try {
    return await look();
  } catch (error) {
    const { code, message } = error as Error & { code?: string };
    // A foreign key whose parent table has no such column or index is a fault of the schema.
    if (/^SQLITE_(CORRUPT|NOTADB|ERROR)/.test(code ?? '')) return [message];
    throw error;
  }
}

/** A row without a parent, as a line of a report. */
export function orphanLine({ table, rowid, parent }: Orphan): string {
  const row = rowid === null ? 'a row' : `row ${rowid}`;
  return `  ${row} of ${table} refers to a row of ${parent} that is not there`;
}
