import type { Wait } from '../threads/line.js';
import type { Command } from '../threads/protocol.js';

/** What the answer to the last of these commands takes as long as: does a commit come before it? */
export function waitFor(
  commands: readonly Command[],
  inTransaction: boolean,
  isQuick: boolean,
): Wait {
  const { type } = commands.at(-1) as Command;
  if (type === 'execute' && inTransaction) return 'statement';
  return type === 'group' && isQuick ? 'statement' : 'commit';
}
