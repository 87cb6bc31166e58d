import { existsSync, openSync, readFileSync, writeSync } from 'node:fs';
import type { Look, Plan } from './plans.ts';

/**
 * What a member says, line by line, the moment that it is so. Times are in microseconds, by a clock that
 * all processes of a machine have in common.
 */
export type Line =
  /** It is about to ask for a write. A request that is asked for again has the same id. */
  | { say: 'ask'; id: string; at: number; plan?: Plan }
  /** What was answered; `result` is that of a transaction with a key. */
  | { say: 'answer'; id: string; at: number; outcome: Outcome; code?: string; result?: unknown }
  /** What a read has seen; `fresh`: it was to see all that had been committed before it began. */
  | { say: 'look'; from: number; at: number; fresh: boolean; look: Look }
  /** Its replica was found unsound, and made anew. */
  | { say: 'quarantine'; reason: string }
  /** What it has is not in the log at its opening: it was made anew. */
  | { say: 'restored' }
  /** It comes to harm at this point of the protocol, for which it was sent out. */
  | { say: 'harm'; point: string }
  /** What must not be. */
  | { say: 'wrong'; text: string };

/** It is in the log; it is not, and will not be; nobody knows. */
export type Outcome = 'ok' | 'failed' | 'unknown';

/** One member's lines, of all its lives. */
export interface Told {
  readonly member: string;
  readonly lines: readonly Line[];
}

export function now(): number {
  return Number(process.hrtime.bigint() / 1000n);
}

/** Writes lines that are there even if the process is killed next: the kernel has them. */
export class Telling {
  readonly #fd: number;

  constructor(file: string) {
    this.#fd = openSync(file, 'a');
  }

  say(line: Line): void {
    writeSync(this.#fd, `${JSON.stringify(line)}\n`);
  }
}

/** The lines of a file, which is there once something was said. One that was cut off was not. */
export function linesOf(file: string): Line[] {
  if (!existsSync(file)) return [];
  const lines: Line[] = [];
  for (const text of readFileSync(file, 'utf8').split('\n').slice(0, -1)) {
    lines.push(JSON.parse(text) as Line);
  }
  return lines;
}
