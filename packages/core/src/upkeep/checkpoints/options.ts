import { boolean, type Check, fields, integer, milliseconds, refuse } from '../../option-checks.js';

/** How the pool keeps the WAL small. */
export interface CheckpointOptions {
  /**
   * How many pages are gathered in the WAL before they are moved to the database file, 1 or more.
   * Default: 1000, as SQLite has it (4 MB).
   */
  walPages?: number;
  /**
   * How large the WAL may grow, in bytes, 65536 or more. Before it is, new reads are held for the
   * moment that emptying it takes; where that does not help, the event `walPinned` tells why.
   * Default: 67108864 (64 MiB).
   */
  walLimit?: number;
  /**
   * How long what was written stays in the WAL alone, in ms, however little it is; 0: for ever.
   * Default: 30000.
   */
  interval?: number;
  /**
   * How long reads that may be slow are held, in ms, until those have ended that were under way. Who
   * takes longer keeps the WAL as it is. Default: 5000.
   */
  holdLimit?: number;
  /**
   * Whether writes slow down for as long as the WAL is larger than `walLimit`: 100 ms between two
   * groups at twice its size, in proportion below and above, at most 1000 ms. Without it they do so
   * while reads are held, and no longer. Default: false.
   */
  backpressure?: boolean;
}

const checkpointFields = fields(
  {
    walPages: integer(1, 2 ** 31 - 1),
    walLimit: integer(65_536, Number.MAX_SAFE_INTEGER, ' of bytes'),
    interval: milliseconds,
    holdLimit: milliseconds,
    backpressure: boolean,
  } satisfies Record<keyof CheckpointOptions, Check>,
  'checkpoint',
);

export const checkCheckpoint: Check = (name, value) => {
  if (value === 'hands-off') return;
  if (typeof value === 'string') refuse(name, value, "'hands-off' or an object");
  checkpointFields(name, value);
};

export function resolveCheckpoint(
  given: CheckpointOptions | 'hands-off',
): Readonly<Required<CheckpointOptions>> | 'hands-off' {
  if (given === 'hands-off') return given;
  return Object.freeze({
    walPages: given.walPages ?? 1000,
    walLimit: given.walLimit ?? 64 * 1024 * 1024,
    interval: given.interval ?? 30_000,
    holdLimit: given.holdLimit ?? 5000,
    backpressure: given.backpressure ?? false,
  });
}
