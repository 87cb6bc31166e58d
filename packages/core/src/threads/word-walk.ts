import { type Block, Outcome, type Words } from './protocol.js';

/** What is known of a list of column names: how many they are, and its number at somebody else's. */
export type LookUp = (shape: number) => { width: number; to: number };

/**
 * Passes over the result that begins at a place of words, and gives the lists of column names in it
 * the numbers that they have elsewhere. Returns where the next result begins.
 */
export function walkResult(words: Words, from: number, lookUp: LookUp): number {
  let at = from;
  switch (words[at++] as Outcome) {
    case Outcome.run:
      return at + 2;
    case Outcome.none:
      return at;
    case Outcome.row: {
      const { width, to } = lookUp(words[at] as number);
      words[at] = to;
      return at + 2 + width;
    }
    case Outcome.rows: {
      const rows = words[at + 1] as number;
      if (rows === 0) return at + 3;
      const { width, to } = lookUp(words[at] as number);
      words[at] = to;
      return at + 3 + rows * width;
    }
    case Outcome.values:
      return at + 3 + (words[at] as number) * (words[at + 1] as number);
    case Outcome.block: {
      const block = words[at] as Block;
      if (block.shape >= 0) block.shape = lookUp(block.shape).to;
      return at + 1;
    }
    case Outcome.error:
      return at + 1;
    case Outcome.query:
      return walkResult(words, at + 2, lookUp);
    case Outcome.batch: {
      const count = words[at++] as number;
      for (let i = 0; i < count; i++) at = walkResult(words, at, lookUp);
      return at;
    }
  }
}
