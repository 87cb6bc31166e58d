import type { BindInput, Params } from '@poolite/core';

/** Text, and values to be bound between its pieces. */
export type Part = string | { readonly bind: BindInput } | readonly Part[];

/** A piece of SQL: its interpolations are pieces too. */
export function sql(strings: TemplateStringsArray, ...parts: readonly Part[]): Part {
  return strings.flatMap((text, at) => [text, parts[at] ?? '']);
}

export function list(parts: readonly Part[], separator = ', '): Part {
  return parts.flatMap((part, at) => (at === 0 ? [part] : [separator, part]));
}

/** A name, quoted as SQL has it. */
export function name(text: string): string {
  return `"${text.replaceAll('"', '""')}"`;
}

/** A string literal; SQL text cannot hold a zero byte. */
export function literal(text: string): string {
  return `'${text.replaceAll('\0', '').replaceAll("'", "''")}'`;
}

/** How the parameters of a statement are written. */
export const STYLES = ['?', '?1', ':a', '@a', '$a'] as const;
export type Style = (typeof STYLES)[number];

/** The text of a statement and its parameters, in one of SQLite's styles. */
export function render(part: Part, style: Style): { text: string; params: Params } {
  const values: BindInput[] = [];
  let text = '';
  const add = (piece: Part): void => {
    if (typeof piece === 'string') {
      text += piece;
    } else if ('bind' in piece) {
      values.push(piece.bind);
      text += placeholder(style, values.length);
    } else {
      for (const each of piece) add(each);
    }
  };
  add(part);
  if (style === '?') return { text, params: values };
  const key = (at: number) => placeholder(style, at + 1).slice(1);
  return { text, params: Object.fromEntries(values.map((value, at) => [key(at), value])) };
}

function placeholder(style: Style, number: number): string {
  if (style === '?') return '?';
  return style === '?1' ? `?${number}` : `${style}${number}`;
}
