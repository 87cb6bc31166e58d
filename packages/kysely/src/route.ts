import { classify, type StatementKind } from '@poolite/core';

/** Where a statement belongs, by its text. */
export interface Route {
  readonly kind: StatementKind;
  /** It leaves or uses what one connection keeps for itself: that connection must be held. */
  readonly needsSession: boolean;
  /** It asks what the session did before: only the connection that did it can tell. */
  readonly asksRowid: boolean;
  readonly asksChanges: boolean;
  /** A write that says RETURNING gives rows, and no counts, as better-sqlite3's `all` does. */
  readonly returning: boolean;
  /** The setting of its connection that it changes. */
  readonly setting: string | undefined;
  /** The PRAGMA that it gives an argument, in lower case. */
  readonly pragma: string | undefined;
  /** It tells what a setting of the connection is. */
  readonly tellsPragma: boolean;
}

const ROWID = /\blast_insert_rowid\s*\(/i;
const CHANGES = /\b(?:total_)?changes\s*\(/i;
const TEMP_SCHEMA = /\btemp["'`\]]?\s*\.|\bsqlite_temp_(?:master|schema)\b/i;
const TEMP = /\btemp(?:orary)?\b/i;
const PRAGMA = /^[\s;]*pragma\s+(?:\w+\s*\.\s*)?(\w+)\s*[=(]/i;

/** Texts whose routes are kept, and how long such a text may be. */
const MOST = 2000;
const LONGEST = 10_000;
const routes = new Map<string, Route>();

function look(sql: string): Route {
  const { kind, schema, setting } = classify(sql);
  const temporary = TEMP_SCHEMA.test(sql) || (schema && TEMP.test(sql));
  const asksRowid = ROWID.test(sql);
  const asksChanges = CHANGES.test(sql);
  const pragma = kind === 'alone' ? PRAGMA.exec(sql)?.[1]?.toLowerCase() : undefined;
  return {
    kind,
    needsSession: temporary || (kind !== 'read' && kind !== 'write'),
    asksRowid,
    asksChanges,
    returning: kind === 'write' && /\breturning\b/i.test(sql),
    setting,
    pragma,
    tellsPragma: kind === 'alone' && pragma === undefined && /^[\s;]*pragma\b/i.test(sql),
  };
}

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
