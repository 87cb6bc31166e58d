/**
 * Blanks and comments, then a word, a quoted name, a text, or any other character, as
 * https://sqlite.org/src/file/src/tokenize.c has them. What is not closed reaches to the end.
 */
const TOKEN =
  /(?:[\s\ufeff]|--[^\n]*|\/\*[\s\S]*?(?:\*\/|$))*(?:([A-Za-z_\u0080-\uffff][\w$\u0080-\uffff]*)|("(?:[^"]|"")*"?|`(?:[^`]|``)*`?|\[[^\]]*\]?)|('(?:[^']|'')*'?)|(\d[\w.]*|[\s\S]))?/y;

/** A token of an SQL text. */
export interface SqlToken {
  readonly kind: 'word' | 'name' | 'text' | 'other';
  /** A word in upper case, a quoted name or a text without its quotes; any other character as it is. */
  readonly value: string;
  /** As it is written. */
  readonly raw: string;
  /** Where it ends. */
  readonly end: number;
}

/** The tokens of an SQL text, lazily: most questions end with the first. */
export function* sqlTokens(sql: string): Generator<SqlToken, void, undefined> {
  const pattern = new RegExp(TOKEN);
  for (;;) {
    const found = pattern.exec(sql);
    if (found === null) return;
    const [, word, name, text, other] = found;
    const end = pattern.lastIndex;
    if (word !== undefined) yield { kind: 'word', value: upper(word), raw: word, end };
    else if (name !== undefined) yield { kind: 'name', value: unquoted(name), raw: name, end };
    else if (text !== undefined) yield { kind: 'text', value: unquoted(text), raw: text, end };
    else if (other !== undefined) yield { kind: 'other', value: other, raw: other, end };
    else return;
  }
}

/** A name as SQLite compares it: it folds ASCII alone. */
export function folded(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => letter.toLowerCase());
}

/** A name within double quotes. */
export function quoted(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

/** The name that a word, a quoted name or (which SQLite lets pass) a text stands for. */
export function nameOf(token: SqlToken | undefined): string {
  if (token === undefined || token.kind === 'other') return '';
  return token.kind === 'word' ? token.raw : token.value;
}

function upper(word: string): string {
  return word.replace(/[a-z]/g, (letter) => letter.toUpperCase());
}

function unquoted(text: string): string {
  const quote = text[0] === '[' ? ']' : (text[0] as string);
  const inner = text.endsWith(quote) && text.length > 1 ? text.slice(1, -1) : text.slice(1);
  return quote === ']' ? inner : inner.replaceAll(quote + quote, quote);
}
