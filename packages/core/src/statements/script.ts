import { Tokens } from './tokens.js';

/** One statement of a script: its text without the semicolon, and its first word where that may be a keyword. */
export interface ScriptStatement {
  readonly keyword: string;
  readonly sql: string;
}

/** The statements of a script. What a trigger's body holds belongs to its CREATE TRIGGER. */
export function* statementsOf(script: string): Generator<ScriptStatement> {
  const tokens = new Tokens(script);
  let first = '';
  let start = -1;
  let end = 0;
  let atStart = true;
  let creating = false;
  let inTrigger = false;
  for (let type = tokens.next(); type !== 'end'; type = tokens.next()) {
    if (tokens.is(';')) {
      atStart = true;
      creating = false;
      if (inTrigger || start < 0) continue;
      yield { keyword: first, sql: script.slice(start, end) };
      start = -1;
      continue;
    }
    end = tokens.end;
    const keyword = tokens.keyword();
    if (creating) {
      // CREATE [TEMP] TRIGGER: further on, TRIGGER may be the name of something.
      inTrigger = keyword === 'TRIGGER';
      creating = keyword === 'TEMP' || keyword === 'TEMPORARY';
    }
    if (!atStart) continue;
    atStart = false;
    // Its body ends with an END of its own; the END of a CASE never starts a statement.
    if (inTrigger) inTrigger = keyword !== 'END';
    else {
      creating = keyword === 'CREATE';
      first = keyword;
      start = tokens.start;
    }
  }
  if (start >= 0) yield { keyword: first, sql: script.slice(start, end) };
}

/**
 * Whether a script begins or ends a transaction by a statement of its own: BEGIN, COMMIT, END or
 * ROLLBACK (but not ROLLBACK TO) where a statement starts, and not inside a trigger's body.
 */
export function controlsTransaction(script: string): boolean {
  for (const { keyword, sql } of statementsOf(script)) {
    if (keyword === 'BEGIN' || keyword === 'COMMIT' || keyword === 'END') return true;
    if (keyword === 'ROLLBACK' && !rollsBackTo(sql)) return true;
  }
  return false;
}

/** https://sqlite.org/lang_savepoint.html: ROLLBACK [TRANSACTION] TO … */
function rollsBackTo(sql: string): boolean {
  const tokens = new Tokens(sql);
  tokens.next();
  tokens.next();
  // 'TRANSACTION' is longer than the keywords that `keyword` knows.
  if (tokens.name() === 'transaction') tokens.next();
  return tokens.keyword() === 'TO';
}
