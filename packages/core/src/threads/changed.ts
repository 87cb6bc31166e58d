/**
 * What was committed, as the extension tells it and as it travels, in JSON: whether anything was, and
 * whether the schema changed; whether any table may have changed; the tables that did; and those that
 * statements compiled meanwhile may have changed, of which none are left when it leaves the writer.
 */
export type Changed = [
  what: number,
  all: 0 | 1,
  committed: ChangedTable[],
  compiled: ChangedTable[],
];

/** Rowids are text: they may be larger than a number can be and stay exact. */
export type ChangedTable = [schema: string, name: string, flags: number, ...rowids: string[]];

/** The bits of `what`. */
export const SCHEMA = 1;
export const COMMITTED = 2;

/** The bits of a table's flags. */
export const WRITTEN = 2;
export const DELETED = 4;
/** Its rowids are not known, or not all of them. */
export const UNNAMED = 8;

/** The bits of what `poolite_tables` says a statement does unnoticed. */
export const EMPTIES = 1;
export const REPLACES = 2;

/** Any table may have changed. */
export const ANY_CHANGE = JSON.stringify([COMMITTED, 1, [], []] satisfies Changed);
