import { accessSync, constants, lstatSync, realpathSync } from 'node:fs';
import { basename, dirname } from 'node:path';
import { type RunningPool, runningPools } from '@poolite/core';
import { type DatabaseFile, type Header, sizeOf } from '../database-file.js';
import { type Inspector, inspect } from '../inspector.js';
import { type Integrity, integrity, type Thoroughness } from '../integrity.js';
import { type FileSystem, fileSystemOf } from './file-system.js';
import { type Holders, holdersOf } from './holders.js';
import { type WalState, walState } from './wal.js';

/** A foreign key that SQLite must read the whole child table for, whenever a parent changes. */
export interface UnindexedKey {
  table: string;
  columns: string[];
  parent: string;
}

/** Persistent settings, and what SQLite counts. */
export interface Pragmas {
  journal_mode: string;
  page_size: number;
  page_count: number;
  freelist_count: number;
  auto_vacuum: number;
  encoding: string;
  user_version: number;
  application_id: number;
  schema_version: number;
}

/** All that `doctor` looks at. */
export interface Facts {
  file: string;
  realPath: string;
  bytes: number;
  /** The bits of its permissions. */
  mode: number;
  /** Names that the file has in its file system. */
  hardLinks: number;
  isLink: boolean;
  writable: boolean;
  folderWritable: boolean;
  header: Header | undefined;
  wal: WalState | undefined;
  /** The size of a rollback journal; undefined where there is none. */
  journalBytes: number | undefined;
  fileSystem: FileSystem;
  holders: Holders;
  pools: RunningPool[];
  /** The version of SQLite that looks. */
  sqliteVersion: string | undefined;
  /** Undefined where the file cannot be read as a database. */
  pragmas: Pragmas | undefined;
  tables: number | undefined;
  indexes: number | undefined;
  /** Whether the query planner has statistics. */
  analyzed: boolean | undefined;
  unindexedKeys: UnindexedKey[];
  integrity: Integrity | undefined;
  /** What kept it from being read. */
  unreadable: { code: string; message: string } | undefined;
}

const PRAGMAS = [
  'journal_mode',
  'page_size',
  'page_count',
  'freelist_count',
  'auto_vacuum',
  'encoding',
  'user_version',
  'application_id',
  'schema_version',
] as const;

/** Gathers the facts. `step` is told what is being done. */
export async function gather(
  { path, stats, header }: DatabaseFile,
  check: Thoroughness | 'none',
  step: (label: string) => void,
): Promise<Facts> {
  const realPath = realpathSync(path);
  const folder = dirname(realPath);
  // Everything that opens the files by itself comes first: see `lookAt`.
  const wal = walState(realPath);
  step(`looking for who has ${basename(path)} open`);
  const [holders, pools] = await Promise.all([holdersOf(realPath), runningPools(realPath)]);
  const facts: Facts = {
    file: path,
    realPath,
    bytes: stats.size,
    mode: stats.mode & 0o777,
    hardLinks: stats.nlink,
    isLink: lstatSync(path).isSymbolicLink(),
    writable: may(realPath, constants.W_OK),
    folderWritable: may(folder, constants.W_OK),
    header,
    wal,
    journalBytes: sizeOf(`${realPath}-journal`),
    fileSystem: fileSystemOf(realPath),
    holders,
    pools,
    sqliteVersion: undefined,
    pragmas: undefined,
    tables: undefined,
    indexes: undefined,
    analyzed: undefined,
    unindexedKeys: [],
    integrity: undefined,
    unreadable: undefined,
  };
  await inspect(realPath, async (inspector) => {
    try {
      step(`reading ${basename(path)}`);
      await readSchema(inspector, facts);
      if (check !== 'none') {
        step(`${check === 'full' ? 'integrity' : 'quick'} check of ${basename(path)}`);
        facts.integrity = await integrity(inspector, check);
      }
    } catch (error) {
      const { code, message } = error as Error & { code?: string };
      facts.unreadable = { code: code ?? 'ERROR', message };
    }
  });
  return facts;
}

function may(path: string, mode: number): boolean {
  try {
    accessSync(path, mode);
    return true;
  } catch {
    return false;
  }
}

async function readSchema(inspector: Inspector, facts: Facts): Promise<void> {
  const [version] = await inspector.all<{ version: string }>('SELECT sqlite_version() AS version');
  facts.sqliteVersion = version?.version;
  const pragmas: Record<string, unknown> = {};
  for (const name of PRAGMAS) {
    const [row] = await inspector.all<Record<string, unknown>>(`PRAGMA ${name}`);
    pragmas[name] = Object.values(row ?? {})[0];
  }
  facts.pragmas = pragmas as unknown as Pragmas;
  const [counts] = await inspector.all<{ tables: number; indexes: number; analyzed: number }>(
    `SELECT count(*) FILTER (WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\') AS tables,
       count(*) FILTER (WHERE type = 'index') AS indexes,
       count(*) FILTER (WHERE name = 'sqlite_stat1') AS analyzed
     FROM sqlite_schema`,
  );
  facts.tables = counts?.tables;
  facts.indexes = counts?.indexes;
  facts.analyzed = counts?.analyzed !== 0;
  facts.unindexedKeys = await unindexedKeys(inspector);
}

/** https://sqlite.org/foreignkeys.html#fk_indexes: child keys want an index that begins with them. */
async function unindexedKeys(inspector: Inspector): Promise<UnindexedKey[]> {
  const keys = await inspector.all<{ child: string; id: number; column: string; parent: string }>(
    `SELECT t.name AS child, k.id, k."from" AS "column", k."table" AS parent
     FROM sqlite_schema AS t, pragma_foreign_key_list(t.name) AS k
     WHERE t.type = 'table' ORDER BY t.name, k.id, k.seq`,
  );
  if (keys.length === 0) return [];
  const indexed = await inspector.all<{ child: string; name: string; column: string | null }>(
    `SELECT t.name AS child, i.name, c.name AS "column"
     FROM sqlite_schema AS t, pragma_index_list(t.name) AS i, pragma_index_info(i.name) AS c
     WHERE t.type = 'table' AND i.partial = 0 ORDER BY t.name, i.name, c.seqno`,
  );
  const rowids = await inspector.all<{ child: string; column: string }>(
    `SELECT t.name AS child, c.name AS "column" FROM sqlite_schema AS t, pragma_table_info(t.name) AS c
     WHERE t.type = 'table' AND c.pk = 1`,
  );
  const byKey = grouped(keys, ({ child, id }) => `${id} ${child}`);
  const byIndex = [
    ...grouped(indexed, ({ child, name }) => `${name} ${child}`),
    // A primary key of one column is the rowid, or has an index that is in the list already.
    ...rowids.map((each) => [each]),
  ];
  return byKey.flatMap((columns) => {
    const names = columns.map(({ column }) => column.toLowerCase());
    const { child = '', parent = '' } = columns[0] ?? {};
    const fits = byIndex.some((index) => {
      if (index[0]?.child !== child) return false;
      const first = index.slice(0, names.length).map(({ column }) => (column ?? '').toLowerCase());
      return first.length === names.length && names.every((name) => first.includes(name));
    });
    return fits ? [] : [{ table: child, columns: columns.map(({ column }) => column), parent }];
  });
}

function grouped<T>(all: readonly T[], key: (each: T) => string): T[][] {
  const groups = new Map<string, T[]>();
  for (const each of all) groups.set(key(each), [...(groups.get(key(each)) ?? []), each]);
  return [...groups.values()];
}
