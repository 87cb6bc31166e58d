import type { Block } from './blocks.ts';

/** A block as a program of its own. */
export interface Program {
  readonly where: string;
  /** The file that it is written to. */
  readonly file: string;
  readonly source: string;
  /** Files of the same page that it may use, by name. */
  readonly beside: ReadonlyMap<string, string>;
  /** What it must print: the comments behind its calls of `console.log`, in order. */
  readonly prints: readonly string[];
}

const NAMED = /^\/\/ ([\w-]+\.[cm]?[jt]s)\n/;
const PRINTED = /^.*console\.log\(.*\); \/\/ (.*)$/gm;

function extension({ language, where }: Block): string {
  if (language === 'ts') return '.ts';
  if (language === 'js') return '.js';
  throw new Error(`${where}: no program is written in ${language}`);
}

/**
 * The programs of some blocks. A block that says `start` behind its language goes before each
 * later one of its page that opens no pool itself. A block whose first line is a comment with a
 * file's name is that file, beside the other blocks of its page, and is run as well.
 */
export function programs(blocks: readonly Block[]): Program[] {
  const code = blocks.filter(({ language }) => language === 'ts' || language === 'js');
  let start: Block | undefined;
  return code.map((block, index) => {
    if (start?.page !== block.page) start = undefined;
    const name = NAMED.exec(block.text)?.[1];
    const isWhole = name !== undefined || /\bcreatePool\b/.test(block.text);
    const before = start === undefined || isWhole ? '' : start.text;
    if (block.info === 'start') start = block;
    const beside = code.flatMap((other): [string, string][] => {
      const file = NAMED.exec(other.text)?.[1];
      return file === undefined || other.page !== block.page ? [] : [[file, other.text]];
    });
    return {
      where: block.where,
      file: name ?? `example-${index}${extension(block)}`,
      source: before + block.text,
      beside: new Map(beside),
      prints: [...block.text.matchAll(PRINTED)].map(([, printed = '']) => printed),
    };
  });
}
