import { Tokens } from './tokens.js';

/**
 * Whether a text, of a statement or of a schema object, may undo or fail the whole transaction it
 * takes part in: a ROLLBACK conflict clause, RAISE(ROLLBACK), a deferred foreign key. Quoted
 * words and comments count too: sharing a commit less often is the only price.
 * https://sqlite.org/lang_conflict.html, https://sqlite.org/foreignkeys.html#fk_deferred
 */
export function isTransactionHazard(sql: string): boolean {
  return /rollback|deferred|defer_foreign_keys/i.test(sql);
}

/** The same statement with `OR ROLLBACK` as `OR ABORT`; the very same text where it has none. */
export function withoutOrRollback(sql: string): string {
  const tokens = new Tokens(sql);
  let afterOr = false;
  let from = 0;
  let text = '';
  while (tokens.next() !== 'end') {
    const keyword = tokens.keyword();
    if (afterOr && keyword === 'ROLLBACK') {
      text += `${sql.slice(from, tokens.start)}ABORT`;
      from = tokens.end;
    }
    afterOr = keyword === 'OR';
  }
  return from === 0 ? sql : text + sql.slice(from);
}
