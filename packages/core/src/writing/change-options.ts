import { fields, integer, milliseconds } from '../option-checks.js';

/** What the event `change` tells. */
export interface ChangeOptions {
  /** The most rowids of a table that are told with each commit, 0 to 100000. Default: 0. */
  rowids?: number;
  /**
   * How often it is looked for commits of other programs, in ms, while somebody listens; 0: never.
   * Default: 100.
   */
  interval?: number;
}

export const checkChanges = fields(
  { rowids: integer(0, 100_000), interval: milliseconds },
  'changes',
);

export function resolveChanges(given: ChangeOptions = {}): Required<ChangeOptions> {
  return Object.freeze({ rowids: given.rowids ?? 0, interval: given.interval ?? 100 });
}
