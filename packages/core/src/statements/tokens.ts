export type TokenType = 'end' | 'word' | 'quoted' | 'number' | 'variable' | 'mark';

const TAB = 9;
const LINE_FEED = 10;
const FORM_FEED = 12;
const CARRIAGE_RETURN = 13;
const SPACE = 32;
const DOUBLE_QUOTE = 34;
const HASH = 35;
const DOLLAR = 36;
const SINGLE_QUOTE = 39;
const OPEN = 40;
const CLOSE = 41;
const ASTERISK = 42;
const MINUS = 45;
const SLASH = 47;
const COLON = 58;
const QUESTION = 63;
const AT = 64;
const OPEN_BRACKET = 91;
const UNDERSCORE = 95;
const BACKTICK = 96;
const BYTE_ORDER_MARK = 0xfeff;

/** The longest keyword asked about here is IMMEDIATE. */
const LONGEST_KEYWORD = 9;

/**
 * Reads SQL one token at a time with SQLite's own rules (sqlite3GetToken in
 * https://sqlite.org/src/file/src/tokenize.c), so that what is a keyword here is one there.
 * Every character is looked at once, so the time is linear in what is read.
 */
export class Tokens {
  /** What the current token is; 'end' before the first `next()` and after the last token. */
  type: TokenType = 'end';
  start = 0;
  end = 0;
  readonly #sql: string;
  readonly #length: number;

  constructor(sql: string) {
    this.#sql = sql;
    // SQLite takes a zero character for the end of the text, wherever it stands.
    const zero = sql.indexOf('\0');
    this.#length = zero === -1 ? sql.length : zero;
  }

  /** Moves to the next token that is neither blank nor comment, and returns its type. */
  next(): TokenType {
    this.#skipBlanks();
    const start = this.end;
    this.start = start;
    if (start >= this.#length) {
      this.type = 'end';
      return this.type;
    }
    const code = this.#sql.charCodeAt(start);
    if (isDigit(code)) this.#take('number', this.#afterName(start + 1));
    else if (isNamePart(code) && code !== DOLLAR) this.#take('word', this.#afterName(start + 1));
    else if (code === SINGLE_QUOTE || code === DOUBLE_QUOTE || code === BACKTICK) {
      this.#take('quoted', this.#afterQuote(code, start + 1));
    } else if (code === OPEN_BRACKET) this.#take('quoted', this.#after(']', start + 1));
    else if (code === QUESTION) this.#takeNumbered();
    else if (code === COLON || code === AT || code === DOLLAR || code === HASH) this.#takeNamed();
    else this.#take('mark', start + 1);
    return this.type;
  }

  /** The current word in upper case; '' when it is something else, or cannot be a keyword. */
  keyword(): string {
    if (this.type !== 'word' || this.end - this.start > LONGEST_KEYWORD) return '';
    const word = this.#sql.slice(this.start, this.end);
    // toUpperCase makes ASCII letters of some others ('ſ' becomes 'S'); SQLite folds ASCII only.
    for (let at = 0; at < word.length; at++) if (word.charCodeAt(at) > 127) return '';
    return word.toUpperCase();
  }

  /** The current word or quoted name, without its quotes, in lower case; '' for anything else. */
  name(): string {
    if (this.type === 'word') return this.#sql.slice(this.start, this.end).toLowerCase();
    if (this.type !== 'quoted') return '';
    return this.#sql.slice(this.start + 1, this.end - 1).toLowerCase();
  }

  /** The name of the current variable, without the character that announces it. */
  variable(): string {
    return this.#sql.slice(this.start + 1, this.end);
  }

  /** Whether the current token is this one character. */
  is(mark: '(' | ')' | ';' | '.' | ',' | '='): boolean {
    return this.type === 'mark' && this.#sql[this.start] === mark;
  }

  #take(type: TokenType, end: number): void {
    this.type = type;
    this.end = end;
  }

  #skipBlanks(): void {
    const sql = this.#sql;
    let at = this.end;
    while (at < this.#length) {
      const code = sql.charCodeAt(at);
      if (isBlank(code)) at++;
      else if (code === MINUS && sql.charCodeAt(at + 1) === MINUS) at = this.#after('\n', at + 2);
      // A slash and an asterisk that end the text are no comment but two operators.
      else if (code === SLASH && sql.charCodeAt(at + 1) === ASTERISK && at + 2 < this.#length) {
        at = this.#after('*/', at + 2);
      } else break;
    }
    this.end = at;
  }

  /** The position after the next `what`; the end of the text when there is none. */
  #after(what: string, from: number): number {
    const found = this.#sql.indexOf(what, from);
    return found === -1 ? this.#length : Math.min(found + what.length, this.#length);
  }

  #afterQuote(quote: number, from: number): number {
    const text = String.fromCharCode(quote);
    let at = this.#after(text, from);
    // A doubled quote stands for one quote inside.
    while (at < this.#length && this.#sql.charCodeAt(at) === quote) at = this.#after(text, at + 1);
    return at;
  }

  #afterName(from: number): number {
    let at = from;
    while (at < this.#length && isNamePart(this.#sql.charCodeAt(at))) at++;
    return at;
  }

  #takeNumbered(): void {
    let at = this.start + 1;
    while (at < this.#length && isDigit(this.#sql.charCodeAt(at))) at++;
    this.#take(at > this.start + 1 ? 'variable' : 'mark', at);
  }

  /**
   * `:a`, `@a`, `$a` and `#a`, with the Tcl forms `$a::b` and `$a(b)` of
   * https://sqlite.org/lang_expr.html#varparam. A library built without them (better-sqlite3's)
   * refuses any text in which they would matter, so reading them does no harm.
   */
  #takeNamed(): void {
    const sql = this.#sql;
    let at = this.start + 1;
    let named = false;
    for (; at < this.#length; at++) {
      const code = sql.charCodeAt(at);
      if (isNamePart(code)) named = true;
      else if (code === COLON && sql.charCodeAt(at + 1) === COLON) at++;
      else if (code === OPEN && named) {
        at = this.#afterArgument(at + 1);
        break;
      } else break;
    }
    this.#take(named ? 'variable' : 'mark', Math.min(at, this.#length));
  }

  #afterArgument(from: number): number {
    let at = from;
    while (at < this.#length) {
      const code = this.#sql.charCodeAt(at);
      if (code === CLOSE) return at + 1;
      if (isSpace(code)) return at;
      at++;
    }
    return at;
  }
}

function isSpace(code: number): boolean {
  return (
    code === SPACE ||
    code === LINE_FEED ||
    code === TAB ||
    code === CARRIAGE_RETURN ||
    code === FORM_FEED
  );
}

function isBlank(code: number): boolean {
  return isSpace(code) || code === BYTE_ORDER_MARK;
}

function isDigit(code: number): boolean {
  return code >= 48 && code <= 57;
}

function isNamePart(code: number): boolean {
  return (
    (code >= 97 && code <= 122) ||
    (code >= 65 && code <= 90) ||
    isDigit(code) ||
    code === UNDERSCORE ||
    code === DOLLAR ||
    code > 127
  );
}
