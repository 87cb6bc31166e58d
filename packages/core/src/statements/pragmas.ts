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

/**
 * Whether a PRAGMA, whose keyword is the current token, reads the schema or the state of the file:
 * the only ones that any connection may answer. The others are settings of one connection, or
 * act; and many act already while they are prepared (https://sqlite.org/pragma.html).
 */
export function isReadingPragma(tokens: Tokens): boolean {
  tokens.next();
  let name = tokens.name();
  tokens.next();
  if (tokens.is('.')) {
    // Temporary and attached databases belong to the one connection that made them.
    if (name !== 'main') return false;
    tokens.next();
    name = tokens.name();
    tokens.next();
  }
  if (READS_WITH_ARGUMENT.has(name)) return true;
  return READS_ALONE.has(name) && (tokens.type === 'end' || tokens.is(';'));
}
