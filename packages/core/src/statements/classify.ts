import { changedSetting, isReadingPragma } from './pragmas.js';
import { Tokens } from './tokens.js';

/** What a statement asks of the pool. */
export type StatementKind =
  /** Any connection may answer it: SELECT, VALUES, WITH that writes nothing, EXPLAIN, some PRAGMAs. */
  | 'read'
  /** Belongs on the writer, and may share a transaction with others. */
  | 'write'
  /** Belongs on the writer, outside any transaction: VACUUM, ATTACH, settings, the unknown. */
  | 'alone'
  | 'begin'
  | 'commit'
  | 'rollback'
  | 'savepoint'
  | 'release'
  | 'rollback-to'
  /** Nothing but blanks, comments and semicolons. */
  | 'empty';

export type BeginBehavior = 'deferred' | 'immediate' | 'exclusive';

/** What the pool knows about an SQL text: about its first statement, where it holds several. */
export interface Classification {
  /** What kind of statement it is, which decides where the pool runs it. */
  readonly kind: StatementKind;
  /** Of a BEGIN; 'deferred' when it does not say. */
  readonly behavior?: BeginBehavior | undefined;
  /**
   * Whether it explains another statement, or the schema, as a PRAGMA may. SQLite compiles such a
   * statement once and may never look at the schema again (an index_list of a table that is not
   * there stays empty), so it must be prepared for every run.
   */
  readonly explains: boolean;
  /** Whether the statement itself may change the schema. */
  readonly schema: boolean;
  /** Whether it may undo, or make fail, the transaction it runs in; true too often, never too rarely. */
  readonly mayRollback: boolean;
  /**
   * The setting of its own connection that a PRAGMA changes, in lower case: whoever held that
   * connection sets it back before somebody else has it. https://sqlite.org/pragma.html
   */
  readonly setting: string | undefined;
  /** The named parameters without prefix, in order of first occurrence; undefined when none. */
  readonly parameters: readonly string[] | undefined;
}

/** What may follow WITH: https://sqlite.org/lang_with.html */
const WITH_KINDS: ReadonlyMap<string, StatementKind> = new Map([
  ['SELECT', 'read'],
  ['VALUES', 'read'],
  ['INSERT', 'write'],
  ['UPDATE', 'write'],
  ['DELETE', 'write'],
  ['REPLACE', 'write'],
]);

const KINDS: ReadonlyMap<string, StatementKind> = new Map([
  ...WITH_KINDS,
  ['CREATE', 'write'],
  ['DROP', 'write'],
  ['ALTER', 'write'],
  ['ANALYZE', 'write'],
  ['REINDEX', 'write'],
  ['BEGIN', 'begin'],
  ['COMMIT', 'commit'],
  ['END', 'commit'],
  ['SAVEPOINT', 'savepoint'],
  ['RELEASE', 'release'],
]);

/** ANALYZE belongs here because it may create the sqlite_stat tables. */
const SCHEMA: ReadonlySet<string> = new Set(['CREATE', 'DROP', 'ALTER', 'ANALYZE', 'REINDEX']);

/**
 * Classifies an SQL text by its first statement. Only the head is read, except for WITH; the
 * properties that need the whole text read it when first asked. Keep the result: it is the same
 * for every run of the same text. Never throws: what SQLite would refuse is 'alone'.
 */
export function classify(sql: string): Classification {
  return new ClassifiedText(sql);
}

class ClassifiedText implements Classification {
  readonly kind: StatementKind;
  readonly behavior: BeginBehavior | undefined;
  readonly explains: boolean;
  readonly schema: boolean;
  readonly #sql: string;
  #mayRollback: boolean | undefined;
  #parameters: readonly string[] | undefined;
  #parametersRead = false;

  constructor(sql: string) {
    const tokens = new Tokens(sql);
    do tokens.next();
    while (tokens.is(';'));
    const keyword = tokens.keyword();
    this.kind = kindOf(tokens, keyword);
    this.behavior = this.kind === 'begin' ? behaviorOf(tokens) : undefined;
    this.explains = keyword === 'EXPLAIN' || keyword === 'PRAGMA';
    this.schema = this.kind === 'alone' || SCHEMA.has(keyword);
    this.#sql = sql;
  }

  get mayRollback(): boolean {
    this.#mayRollback ??= saysRollback(this.#sql);
    return this.#mayRollback;
  }

  get setting(): string | undefined {
    if (this.kind !== 'alone') return undefined;
    const tokens = new Tokens(this.#sql);
    // EXPLAIN too: many a PRAGMA acts while it is prepared.
    while (tokens.next() !== 'end')
      if (tokens.keyword() === 'PRAGMA') return changedSetting(tokens);
    return undefined;
  }

  get parameters(): readonly string[] | undefined {
    if (!this.#parametersRead) {
      this.#parameters = namedParameters(this.#sql);
      this.#parametersRead = true;
    }
    return this.#parameters;
  }
}

function kindOf(tokens: Tokens, keyword: string): StatementKind {
  const kind = KINDS.get(keyword);
  if (kind !== undefined) return kind;
  switch (keyword) {
    case 'WITH':
      return WITH_KINDS.get(verbAfterWith(tokens)) ?? 'alone';
    case 'PRAGMA':
      return isReadingPragma(tokens) ? 'read' : 'alone';
    case 'EXPLAIN':
      return explainedKind(tokens);
    case 'ROLLBACK':
      return namesSavepoint(tokens) ? 'rollback-to' : 'rollback';
    default:
      return tokens.type === 'end' ? 'empty' : 'alone';
  }
}

/**
 * The statement behind a list of common table expressions. It follows a closing parenthesis, which
 * tells it from a table named "replace", and no AS follows it, which tells it from the columns.
 */
function verbAfterWith(tokens: Tokens): string {
  let depth = 0;
  let closed = false;
  while (tokens.next() !== 'end') {
    if (tokens.is('(')) depth++;
    else if (tokens.is(')')) depth--;
    else if (closed && depth === 0 && tokens.type === 'word') {
      const keyword = tokens.keyword();
      if (keyword !== 'AS') return keyword;
    }
    closed = tokens.is(')');
  }
  return '';
}

/**
 * EXPLAIN runs nothing, so any connection may answer it. But many a PRAGMA acts while it is
 * prepared, explained or not (https://sqlite.org/pragma.html), on the connection it meets.
 */
function explainedKind(tokens: Tokens): StatementKind {
  tokens.next();
  if (tokens.keyword() === 'QUERY') {
    tokens.next();
    tokens.next();
  }
  return tokens.keyword() === 'PRAGMA' && !isReadingPragma(tokens) ? 'alone' : 'read';
}

/** ROLLBACK [TRANSACTION [name]] TO …: https://sqlite.org/lang_transaction.html */
function namesSavepoint(tokens: Tokens): boolean {
  for (let token = 0; token < 3; token++) {
    tokens.next();
    if (tokens.is(';')) return false;
    if (tokens.keyword() === 'TO') return true;
  }
  return false;
}

function behaviorOf(tokens: Tokens): BeginBehavior {
  tokens.next();
  switch (tokens.keyword()) {
    case 'IMMEDIATE':
      return 'immediate';
    case 'EXCLUSIVE':
      return 'exclusive';
    default:
      return 'deferred';
  }
}

/**
 * ROLLBACK is a keyword wherever it undoes a transaction. defer_foreign_keys makes a COMMIT fail
 * that would not have, and a PRAGMA's name may be quoted, so it counts wherever it stands.
 */
function saysRollback(sql: string): boolean {
  if (/defer_foreign_keys/i.test(sql)) return true;
  if (!/rollback/i.test(sql)) return false;
  const tokens = new Tokens(sql);
  while (tokens.next() !== 'end') if (tokens.keyword() === 'ROLLBACK') return true;
  return false;
}

function namedParameters(sql: string): readonly string[] | undefined {
  if (!/[:@$#]|\?\d/.test(sql)) return undefined;
  const names = new Set<string>();
  const tokens = new Tokens(sql);
  while (tokens.next() !== 'end') if (tokens.type === 'variable') names.add(tokens.variable());
  return names.size === 0 ? undefined : [...names];
}
