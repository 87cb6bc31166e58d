import { resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Dialect } from './binary.js';
import type { ReplicaOptions, ReplicateSettings } from './options.js';

type Fields = Record<string, unknown>;

/** Milliseconds, as Litestream reads a length of time. */
function duration(ms: number): string {
  return `${ms}ms`;
}

/** Where the replica is. A path is given as a path: Litestream reads `%20` in a URL of a file as it stands. */
function place(url: string): Fields {
  if (/^[a-z][a-z0-9+.-]+:\/\//i.test(url) && !url.startsWith('file:')) return { url };
  return { type: 'file', path: url.startsWith('file:') ? fileURLToPath(url) : resolve(url) };
}

function replica(options: ReplicaOptions): Fields {
  return { ...place(options.url), ...options.settings };
}

function document(dialect: Dialect, file: string, fields: Fields, database: Fields): Fields {
  const one = dialect === '0.3' ? { replicas: [fields] } : { replica: fields };
  return {
    // Lines of JSON on stderr: Litestream's own words are what tells how far it is.
    logging: { level: 'info', type: 'json', stderr: true },
    dbs: [{ path: file, ...database, ...one }],
  };
}

/** The configuration for `litestream replicate`, as JSON, which is YAML. */
export function replicateConfig(
  dialect: Dialect,
  file: string,
  settings: ReplicateSettings,
  guard: string,
): string {
  const { syncInterval, retention, snapshotInterval } = settings;
  const fields: Fields = { 'sync-interval': duration(syncInterval) };
  const snapshots: Fields = {};
  if (dialect === '0.3') {
    if (retention !== undefined) fields.retention = duration(retention);
    if (snapshotInterval !== undefined) fields['snapshot-interval'] = duration(snapshotInterval);
  } else {
    if (retention !== undefined) snapshots.retention = duration(retention);
    if (snapshotInterval !== undefined) snapshots.interval = duration(snapshotInterval);
  }
  // How often it looks at the WAL: what it has not seen it cannot send.
  const look = { 'monitor-interval': duration(Math.min(1000, syncInterval)) };
  const whole = document(dialect, file, { ...fields, ...replica(settings) }, look);
  if (Object.keys(snapshots).length > 0) whole.snapshot = snapshots;
  whole.exec = guard;
  return JSON.stringify(whole);
}

/** The configuration for `litestream restore` and `generations`. */
export function restoreConfig(dialect: Dialect, file: string, options: ReplicaOptions): string {
  return JSON.stringify(document(dialect, file, replica(options), {}));
}
