import { misuse } from './gate-error.js';
import { pragmaVerdict } from './pragma-rules.js';
import { folded, nameOf, type SqlToken, sqlTokens } from './sql-words.js';

/** What a statement does with a database that many machines share. */
export type Verdict =
  /** Nothing that others must know of. */
  | 'local'
  /** Back to a savepoint. */
  | 'undo'
  /** From here on, all foreign keys of the transaction are looked at with its COMMIT. */
  | 'defer'
  /** It may write rows. */
  | 'rows'
  | 'user_version'
  | 'application_id'
  /** It changes the schema, or what belongs to it: the others run the same text. */
  | 'schema';

/** Texts that are remembered; an application has few, and one that builds them from values has no use for it. */
const MOST_TEXTS = 2000;

const known = new Map<string, Verdict>();

/**
 * What a statement does, by its first words.
 *
 * @throws where it must not run on a pool with a store, whatever the schema.
 */
export function verdictOf(sql: string): Verdict {
  let verdict = known.get(sql);
  if (verdict === undefined) {
    verdict = judge(sql);
    if (known.size >= MOST_TEXTS) known.clear();
    known.set(sql, verdict);
  }
  return verdict;
}

function judge(sql: string): Verdict {
  const tokens = sqlTokens(sql);
  let first = tokens.next().value ?? undefined;
  while (first?.value === ';') first = tokens.next().value ?? undefined;
  switch (first?.kind === 'word' ? first.value : '') {
    case 'SELECT':
    case 'VALUES':
    case 'SAVEPOINT':
    case 'RELEASE':
      return 'local';
    case 'EXPLAIN':
      return explained(tokens);
    case 'WITH':
      return writes(tokens) ? 'rows' : 'local';
    case 'PRAGMA':
      return pragmaVerdict(tokens);
    case 'CREATE':
      return isTemporary(sql) ? 'local' : 'schema';
    case 'ALTER':
    case 'DROP':
    case 'REINDEX':
    case 'ANALYZE':
      return 'schema';
    case 'ROLLBACK':
      for (const token of tokens) if (token.value === 'TO') return 'undo';
      throw transactionError('ROLLBACK');
    case 'BEGIN':
    case 'COMMIT':
    case 'END':
      throw transactionError(first?.value ?? '');
    case 'ATTACH':
    case 'DETACH':
      throw misuse(
        `${first?.value} is refused on a pool with a store: what is in another file reaches no other machine; ` +
          'keep it in the database itself, or open the other file with a pool of its own',
      );
    case 'VACUUM':
      throw misuse(
        'VACUUM is refused on a pool with a store: it rewrites the file outside of any transaction that the store ' +
          'could decide on; use pool.backup() for a copy, and PRAGMA incremental_vacuum to give free pages back',
      );
    default:
      return first === undefined ? 'local' : 'rows';
  }
}

function transactionError(keyword: string): Error {
  return misuse(
    `${keyword} is refused here on a pool with a store, which must be asked before each commit: ` +
      'use pool.transaction() or pool.batch(), or BEGIN and COMMIT as statements of their own on a lease',
  );
}

/** Many a PRAGMA acts while it is prepared, explained or not: https://sqlite.org/pragma.html */
function explained(tokens: Iterator<SqlToken, void>): Verdict {
  let token = tokens.next().value;
  if (token?.value === 'QUERY') {
    tokens.next();
    token = tokens.next().value;
  }
  return token?.value === 'PRAGMA' ? pragmaVerdict(tokens) : 'local';
}

const WRITING: ReadonlySet<string> = new Set(['INSERT', 'UPDATE', 'DELETE', 'REPLACE']);

/** Too often rather than too rarely: replace() is a function as well. */
function writes(tokens: Iterable<SqlToken>): boolean {
  for (const { kind, value } of tokens) if (kind === 'word' && WRITING.has(value)) return true;
  return false;
}

/** What only its own connection sees. */
function isTemporary(sql: string): boolean {
  const { kind, schema } = schemaStatement(sql);
  return kind.startsWith('TEMP') || folded(schema) === 'temp';
}

/** What a statement of the schema says of itself. */
export interface SchemaStatement {
  readonly verb: string;
  /** `TABLE`, `INDEX`, `VIEW`, `TRIGGER`, `VIRTUAL TABLE`, or `TEMP`; '' where it says none. */
  readonly kind: string;
  /** The schema before the name: `main`, `temp`; '' where there is none. */
  readonly schema: string;
  /** The name of what it makes, changes or drops, without its schema. */
  readonly name: string;
  readonly tokens: readonly SqlToken[];
  /** Where in `tokens` what follows the name begins. */
  readonly rest: number;
}

/** Reads CREATE, ALTER, DROP, REINDEX and ANALYZE up to the name of what they are about. */
export function schemaStatement(sql: string): SchemaStatement {
  const tokens = [...sqlTokens(sql)].filter(({ value }) => value !== ';');
  let at = 0;
  const word = () => (tokens[at]?.kind === 'word' ? (tokens[at]?.value ?? '') : '');
  const verb = word();
  at++;
  let kind = '';
  if (verb === 'CREATE' || verb === 'ALTER' || verb === 'DROP') {
    if (word() === 'UNIQUE') at++;
    kind = word();
    at++;
    if (kind === 'VIRTUAL') {
      kind = 'VIRTUAL TABLE';
      at++;
    }
    if (word() === 'IF') at += tokens[at + 1]?.value === 'NOT' ? 3 : 2;
  }
  let schema = '';
  if (tokens[at + 1]?.value === '.') {
    schema = nameOf(tokens[at]);
    at += 2;
  }
  return { verb, kind, schema, name: nameOf(tokens[at]), tokens, rest: at + 1 };
}
