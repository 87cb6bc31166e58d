import { Tokens } from './tokens.js';

/**
 * Whether a script begins or ends a transaction by a statement of its own: BEGIN, COMMIT, END or
 * ROLLBACK (but not ROLLBACK TO) where a statement starts, and not inside a trigger's body.
 */
export function controlsTransaction(script: string): boolean {
  const tokens = new Tokens(script);
  let atStart = true;
  let creating = false;
  let inTrigger = false;
  for (let type = tokens.next(); type !== 'end'; type = tokens.next()) {
    if (tokens.is(';')) {
      atStart = true;
      creating = false;
      continue;
    }
    const keyword = tokens.keyword();
    if (creating) {
      // CREATE [TEMP] TRIGGER: further on, TRIGGER may be the name of something.
      inTrigger = keyword === 'TRIGGER';
      creating = keyword === 'TEMP' || keyword === 'TEMPORARY';
    }
    if (!atStart) continue;
    atStart = false;
    if (inTrigger) {
      // Its body ends with an END of its own; the END of a CASE never starts a statement.
      if (keyword === 'END') inTrigger = false;
      continue;
    }
    creating = keyword === 'CREATE';
    if (keyword === 'BEGIN' || keyword === 'COMMIT' || keyword === 'END') return true;
    if (keyword === 'ROLLBACK' && !rollsBackTo(tokens)) return true;
  }
  return false;
}

/** https://sqlite.org/lang_savepoint.html: ROLLBACK [TRANSACTION] TO … */
function rollsBackTo(tokens: Tokens): boolean {
  tokens.next();
  // 'TRANSACTION' is longer than the keywords that `keyword` knows.
  if (tokens.name() === 'transaction') tokens.next();
  return tokens.keyword() === 'TO';
}
