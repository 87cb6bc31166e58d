import { misuse } from './gate-error.js';
import { nameOf, type SqlToken } from './sql-words.js';

/** What a PRAGMA does with a database that many machines share. */
export type PragmaVerdict = 'local' | 'defer' | 'user_version' | 'application_id';

/** These read, whatever their argument: https://sqlite.org/pragma.html */
const READING: ReadonlySet<string> = new Set([
  'collation_list',
  'compile_options',
  'data_version',
  'database_list',
  'foreign_key_check',
  'foreign_key_list',
  'freelist_count',
  'function_list',
  'index_info',
  'index_list',
  'index_xinfo',
  'integrity_check',
  'module_list',
  'page_count',
  'pragma_list',
  'quick_check',
  'table_info',
  'table_list',
  'table_xinfo',
]);

/** Settings of the connection, and upkeep of its own file, that change no row and no schema. */
const OWN: ReadonlySet<string> = new Set([
  'analysis_limit',
  'automatic_index',
  'busy_timeout',
  'cache_size',
  'cache_spill',
  'cell_size_check',
  'checkpoint_fullfsync',
  'foreign_keys',
  'fullfsync',
  'hard_heap_limit',
  'ignore_check_constraints',
  'incremental_vacuum',
  'journal_size_limit',
  'mmap_size',
  'optimize',
  'query_only',
  'read_uncommitted',
  'recursive_triggers',
  'reverse_unordered_selects',
  'secure_delete',
  'shrink_memory',
  'soft_heap_limit',
  'synchronous',
  'temp_store',
  'threads',
  'trusted_schema',
  'wal_autocheckpoint',
  'wal_checkpoint',
]);

/** What may be read, but not set to anything other than these. */
const FIXED: ReadonlyMap<string, { may: readonly string[]; why: string; instead: string }> =
  new Map([
    fixed('journal_mode', ['wal'], 'readers need the WAL', 'leave it out'),
    fixed(
      'legacy_alter_table',
      ['off', '0', 'false', 'no'],
      'the other replicas run ALTER TABLE without it, and would get another schema',
      'build the table anew (CREATE, INSERT … SELECT, DROP, RENAME)',
    ),
    fixed(
      'writable_schema',
      ['off', '0', 'false', 'no', 'reset'],
      'the other replicas would not see what is written into the schema',
      'use ALTER TABLE, or build the table anew (CREATE, INSERT … SELECT, DROP, RENAME)',
    ),
    ...['auto_vacuum', 'encoding', 'page_size'].map((name) =>
      fixed(
        name,
        [],
        'snapshots replace the file page by page, so all replicas must be of one form',
        'set it in a new file before it is opened with a store',
      ),
    ),
    fixed(
      'schema_version',
      [],
      'it tells the connections that the schema has changed',
      'use user_version for a version of your own',
    ),
  ]);

function fixed(name: string, may: readonly string[], why: string, instead: string) {
  return [name, { may, why, instead }] as const;
}

/**
 * What a PRAGMA does, whose keyword has been read.
 *
 * @throws where other replicas could not follow it.
 */
export function pragmaVerdict(tokens: Iterator<SqlToken, void>): PragmaVerdict {
  const next = () => tokens.next().value ?? undefined;
  let name = nameOf(next()).toLowerCase();
  let mark = next();
  if (mark?.value === '.') {
    name = nameOf(next()).toLowerCase();
    mark = next();
  }
  const sets = mark?.value === '=' || mark?.value === '(';
  const argument = sets ? (next()?.value.toLowerCase() ?? '') : undefined;
  if (READING.has(name) || OWN.has(name)) return 'local';
  if (name === 'defer_foreign_keys') return sets ? 'defer' : 'local';
  if (name === 'user_version' || name === 'application_id') return sets ? name : 'local';
  const rule = FIXED.get(name);
  if (rule === undefined) {
    throw misuse(
      `PRAGMA ${name} is refused on a pool with a store, which knows of no way to keep all replicas the same ` +
        'under it: leave it out, or set it by the option pragmas if it concerns the connection alone',
    );
  }
  if (argument === undefined || rule.may.includes(argument)) return 'local';
  throw misuse(
    `PRAGMA ${name} = ${argument} is refused on a pool with a store: ${rule.why}; ${rule.instead}`,
  );
}
