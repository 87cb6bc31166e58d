import { channel } from 'node:diagnostics_channel';

/**
 * The `diagnostics_channel` channels of all pools. A message is made only while somebody
 * subscribes. Names of attributes follow OpenTelemetry's conventions for databases where there is
 * one: https://opentelemetry.io/docs/specs/semconv/database/
 */
export const channels = {
  /** A statement ended. */
  statement: channel('poolite:statement'),
  /** A group of writes was committed. */
  group: channel('poolite:group'),
  /** A lock of another process was met. */
  busy: channel('poolite:busy'),
  /** A thread died and was replaced. */
  threadLost: channel('poolite:thread-lost'),
  /** A checkpoint was made. */
  checkpoint: channel('poolite:checkpoint'),
  /** The WAL is too large, or not empty at closing. */
  walPinned: channel('poolite:wal-pinned'),
  /** Upkeep failed. */
  upkeepError: channel('poolite:upkeep-error'),
  /** A backup was made. */
  backup: channel('poolite:backup'),
  /** A backup is at its destination. */
  backupSent: channel('poolite:backup-sent'),
  /** Replication has changed its state, or has met an error. */
  replication: channel('poolite:replication'),
} as const;

/** The message of `poolite:statement`. */
export interface StatementMessage {
  /** Always the same: what kind of database it is. */
  'db.system.name': 'sqlite';
  /** The path of the database file. */
  'db.namespace': string;
  /** The SQL text, with its placeholders; values are not in it. */
  'db.query.text': string;
  /** The first word of the text, in upper case. */
  'db.operation.name': string;
  /** Rows that came back, where the statement returns rows. */
  'db.response.returned_rows': number | undefined;
  /** The code of the error, where it failed. */
  'error.type': string | undefined;
  /** `db.client.operation.duration`, in seconds. */
  duration: number;
  /** Where it ran. */
  route: 'inline' | 'reader' | 'writer';
}
