import type { Params } from '@poolite/core';

/** Up to `VALUES`, as TypeORM writes it. */
const HEAD =
  /^INSERT INTO (?:"(?:[^"]|"")*"\.)*"(?:[^"]|"")*"\((?:"(?:[^"]|"")*"(?:, )?)+\) VALUES /y;
/** The begin of a row, or one of its values with what follows it. A number is one in decimals. */
const ROW = /\(/y;
const VALUE = /(NULL|\?|json\(\?\)|jsonb\(\?\)|(-?\d+(?:\.\d+)?(?:e[+-]?\d+)?))(, |\))/y;
const NEXT_ROW = /, /y;
/** Behind the rows, a placeholder that is not plain: those before it must keep their numbers. */
const NUMBERED = /\?\d|[:@$#]\w/;

/** So many values at most: SQLite binds 32,766 to a statement. */
const MOST_VALUES = 1000;

export interface Bound {
  readonly sql: string;
  readonly params: Params | undefined;
}

/**
 * TypeORM writes numbers into the text of an INSERT, so that each is a text of its own, to be looked
 * at and prepared for one use. Here they become parameters. As a value of a row SQLite stores the same
 * for both: a whole number is bound as a bigint, since better-sqlite3 binds a number as REAL.
 */
export function boundInsert(sql: string, given: Params | undefined): Bound | undefined {
  HEAD.lastIndex = 0;
  if (!sql.startsWith('INSERT') || !HEAD.test(sql)) return undefined;
  const values = given ?? [];
  if (!Array.isArray(values)) return undefined;
  let at = HEAD.lastIndex;
  let text = sql.slice(0, at);
  const params: unknown[] = [];
  let taken = 0;
  let found = false;
  for (;;) {
    ROW.lastIndex = at;
    if (!ROW.test(sql)) return undefined;
    at++;
    text += '(';
    for (;;) {
      VALUE.lastIndex = at;
      const match = VALUE.exec(sql);
      if (match === null) return undefined;
      at = VALUE.lastIndex;
      const [, value, number, end] = match as unknown as [string, string, string?, string?];
      if (number !== undefined) {
        const bound = numberOf(number);
        if (bound === undefined) return undefined;
        params.push(bound);
        text += '?';
        found = true;
      } else {
        if (value !== 'NULL') params.push(values[taken++]);
        text += value;
      }
      text += end;
      if (end === ')') break;
    }
    NEXT_ROW.lastIndex = at;
    if (!NEXT_ROW.test(sql)) break;
    at = NEXT_ROW.lastIndex;
    text += ', ';
  }
  // What SQLite says of values too few is said of the text as it was.
  if (!found || taken > values.length || params.length > MOST_VALUES) return undefined;
  const rest = sql.slice(at);
  if (NUMBERED.test(rest)) return undefined;
  for (; taken < values.length; taken++) params.push(values[taken]);
  return { sql: text + rest, params: params as unknown as Params };
}

function numberOf(text: string): bigint | number | undefined {
  const number = Number(text);
  if (!/^-?\d+$/.test(text)) return number;
  return Number.isSafeInteger(number) && !Object.is(number, -0) ? BigInt(number) : undefined;
}
