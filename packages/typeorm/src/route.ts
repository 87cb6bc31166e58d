import { classify, type StatementKind } from '@poolite/core';

/** Where a statement belongs, by its text, and what it gives. */
export interface Route {
  readonly kind: StatementKind;
  /** It gives rows, also where there are none; the others give counts, as better-sqlite3's `run`. */
  readonly returnsRows: boolean;
  /** It leaves something with one connection: that connection must be held. */
  readonly needsSession: boolean;
  /** A read of what only the writer's connection knows. */
  readonly onWriter: boolean;
  /** The setting of one connection that it changes, in lower case. */
  readonly setting: string | undefined;
  /** What it leaves behind for a connection, beside settings. */
  readonly leaves: 'temporary' | 'attached' | undefined;
  /** Why a pool cannot run it. */
  readonly refusal: string | undefined;
}

/** Settings that concern writing alone, which one connection does. */
export const WRITER_SETTINGS: ReadonlySet<string> = new Set([
  'foreign_keys',
  'ignore_check_constraints',
  'legacy_alter_table',
  'recursive_triggers',
  'secure_delete',
  'synchronous',
  'writable_schema',
]);

const PRAGMA =
  /^[\s;]*pragma\s+(?:(?:\w+|"[^"]*"|'[^']*'|`[^`]*`|\[[^\]]*\])\s*\.\s*)?["'`[]?(\w+)["'`\]]?\s*([=(]\s*['"]?([\w.-]*))?/i;
const ASKS = /\b(?:last_insert_rowid|(?:total_)?changes)\s*\(/i;
const TEMP_SCHEMA = /\btemp["'`\]]?\s*\.|\bsqlite_temp_(?:master|schema)\b/i;
const TEMP = /\btemp(?:orary)?\b/i;
const ATTACH = /^[\s;]*(?:attach|detach)\b/i;
/** Literals, quoted names and comments: RETURNING inside of them is no clause. */
const QUOTED = /'[^']*'|"[^"]*"|`[^`]*`|\[[^\]]*\]|--[^\n]*|\/\*[\s\S]*?\*\//g;

/** Texts whose routes are kept, and how long such a text may be. */
const MOST = 2000;
const LONGEST = 10_000;
const routes = new Map<string, Route>();

export function routeOf(sql: string): Route {
  let route = routes.get(sql);
  if (route === undefined) {
    route = look(sql);
    if (sql.length <= LONGEST) {
      if (routes.size >= MOST) routes.clear();
      routes.set(sql, route);
    }
  }
  return route;
}

function look(sql: string): Route {
  const { kind, schema, setting } = classify(sql);
  const pragma = kind === 'alone' ? PRAGMA.exec(sql) : null;
  const name = pragma?.[1]?.toLowerCase() ?? '';
  const changes = pragma?.[2] !== undefined;
  const leaves = leavings(sql, kind, schema);
  return {
    kind,
    returnsRows: kind === 'read' || (pragma !== null && !changes) || returning(sql, kind),
    needsSession: setting !== undefined || leaves !== undefined || controls(kind),
    onWriter: kind === 'read' && (ASKS.test(sql) || TEMP_SCHEMA.test(sql)),
    setting,
    leaves,
    refusal: changes ? refusal(name, pragma?.[3] ?? '') : undefined,
  };
}

function controls(kind: StatementKind): boolean {
  return kind !== 'read' && kind !== 'write' && kind !== 'alone' && kind !== 'empty';
}

function leavings(sql: string, kind: StatementKind, schema: boolean): Route['leaves'] {
  if (kind === 'alone') return ATTACH.test(sql) ? 'attached' : undefined;
  return kind === 'write' && schema && TEMP.test(sql) && makesTemporary(sql)
    ? 'temporary'
    : undefined;
}

function makesTemporary(sql: string): boolean {
  return /^[\s;]*create\s+temp(?:orary)?\b/i.test(sql) || TEMP_SCHEMA.test(sql);
}

function returning(sql: string, kind: StatementKind): boolean {
  if (kind !== 'write' || !/returning/i.test(sql)) return false;
  return /\breturning\b/i.test(sql.replace(QUOTED, ' '));
}

function refusal(name: string, value: string): string | undefined {
  if (name === 'journal_mode' && !/^wal$/i.test(value)) return 'a pool needs WAL';
  if (name === 'busy_timeout') {
    return "a pool waits for locks itself: set the data source's option 'timeout'";
  }
  if (name === 'case_sensitive_like') {
    return 'it concerns one connection, and a pool has several: set it in poolite({ pragmas })';
  }
  return undefined;
}

/** `PRAGMA busy_timeout` asks how long locks are waited for, which readers' connections know. */
export function asksBusyTimeout(sql: string): boolean {
  return /^[\s;]*pragma\s+busy_timeout\s*;?\s*$/i.test(sql);
}

/** A BEGIN that does not say how: SQLite's default is DEFERRED. */
export function isPlainBegin(sql: string): boolean {
  return /^[\s;]*begin(?:\s+transaction)?\s*;?\s*$/i.test(sql);
}
