import type { Lease } from '@poolite/core';

/** How many rows of which table refer to nothing in which other one. */
export type Violations = ReadonlyMap<string, { rows: number; table: string; parent: string }>;

/** https://sqlite.org/pragma.html#pragma_foreign_key_check */
export async function foreignKeyViolations(lease: Lease): Promise<Violations> {
  const found = new Map<string, { rows: number; table: string; parent: string }>();
  const rows = await lease.all<{ table: string; parent: string }>('PRAGMA foreign_key_check');
  for (const { table, parent } of rows) {
    const key = JSON.stringify([table, parent]);
    const entry = found.get(key);
    if (entry === undefined) found.set(key, { rows: 1, table, parent });
    else entry.rows++;
  }
  return found;
}

/** In words, what there is now and was not before: older ones are no fault of a migration. */
export function newViolations(before: Violations, after: Violations): string[] {
  const words: string[] = [];
  for (const [key, { rows, table, parent }] of after) {
    const more = rows - (before.get(key)?.rows ?? 0);
    if (more <= 0) continue;
    const who = more === 1 ? 'row' : 'rows';
    words.push(`${more} ${who} of "${table}" without what they refer to in "${parent}"`);
  }
  return words;
}
