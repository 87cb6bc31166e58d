/** What one step of an entry does. */
export type Part =
  /** Rows that were changed, as SQLite's session extension writes them. */
  | { type: 'changes'; bytes: Uint8Array }
  /** A statement that changes the schema. */
  | { type: 'ddl'; sql: string }
  /** The whole database, as `serialize()` gives it. */
  | { type: 'snapshot'; bytes: Uint8Array };

/** One step of the log: what one commit did. */
export interface Entry {
  /** Its place in the log, from 1. */
  number: number;
  /** What tells it from any other that was meant for the same place. */
  token: string;
  /** The token of entry `number - 1`; '' for the first. */
  previous: string;
  /** The version of SQLite that made it. */
  sqlite: string;
  /** The hash of the schema after it. */
  schema: string;
  /** In order; a part `snapshot` is the only one. */
  parts: Part[];
  /** The rows of `sqlite_sequence` that it changed, as they are after it. */
  sequences: [table: string, value: number | bigint][];
  /** `PRAGMA user_version` after it, where it changed. */
  userVersion?: number;
  /** `PRAGMA application_id` after it, where it changed. */
  applicationId?: number;
  /** The idempotency keys that it answers. */
  requests: string[];
}
