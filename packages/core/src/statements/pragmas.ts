import type { Tokens } from './tokens.js';

/** These answer the same on every connection, with or without an argument. */
const READS_WITH_ARGUMENT: ReadonlySet<string> = new Set([
  'foreign_key_check',
  'foreign_key_list',
  'index_info',
  'index_list',
  'index_xinfo',
  'integrity_check',
  'quick_check',
  'table_info',
  'table_list',
  'table_xinfo',
]);

/** These answer the same on every connection; an argument would set them, or mean nothing. */
const READS_ALONE: ReadonlySet<string> = new Set([
  'application_id',
  'auto_vacuum',
  'collation_list',
  'compile_options',
  'database_list',
  'encoding',
  'freelist_count',
  'function_list',
  'journal_mode',
  'module_list',
  'page_count',
  'page_size',
  'pragma_list',
  'schema_version',
  'user_version',
]);

/** What a connection may set for itself: https://sqlite.org/pragma.html */
const SETTINGS: ReadonlySet<string> = new Set([
  'analysis_limit',
  'automatic_index',
  'cache_size',
  'cache_spill',
  'cell_size_check',
  'checkpoint_fullfsync',
  'foreign_keys',
  'fullfsync',
  'ignore_check_constraints',
  'legacy_alter_table',
  'mmap_size',
  'query_only',
  'read_uncommitted',
  'recursive_triggers',
  'reverse_unordered_selects',
  'secure_delete',
  'synchronous',
  'temp_store',
  'threads',
  'trusted_schema',
  'writable_schema',
]);

/** The setting of its connection that a PRAGMA, whose keyword is the current token, changes. */
export function changedSetting(tokens: Tokens): string | undefined {
  const name = nameAfter(tokens).name;
  const changes = tokens.is('=') || tokens.is('(');
  return changes && SETTINGS.has(name) ? name : undefined;
}

/** Moves behind the name of a PRAGMA, which a schema may qualify. */
function nameAfter(tokens: Tokens): { schema: string; name: string } {
  tokens.next();
  const first = tokens.name();
  tokens.next();
  if (!tokens.is('.')) return { schema: 'main', name: first };
  tokens.next();
  const name = tokens.name();
  tokens.next();
  return { schema: first, name };
}

/**
 * Whether a PRAGMA, whose keyword is the current token, reads the schema or the state of the file:
 * the only ones that any connection may answer. The others are settings of one connection, or
 * act; and many act already while they are prepared (https://sqlite.org/pragma.html).
 */
export function isReadingPragma(tokens: Tokens): boolean {
  const { schema, name } = nameAfter(tokens);
  // Temporary and attached databases belong to the one connection that made them.
  if (schema !== 'main') return false;
  if (READS_WITH_ARGUMENT.has(name)) return true;
  return READS_ALONE.has(name) && (tokens.type === 'end' || tokens.is(';'));
}
