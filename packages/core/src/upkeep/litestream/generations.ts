import type { Binary } from './binary.js';
import { describeEnd, LitestreamChild } from './child.js';
import { restoreConfig } from './config.js';
import type { ReplicaOptions } from './options.js';

/**
 * The generation whose last state is that of a moment: 0.3 finds it by itself only where something
 * was sent after that moment. Undefined where none had begun by then.
 */
export async function generationBefore(
  binary: Binary,
  replica: ReplicaOptions,
  at: Date,
): Promise<string | undefined> {
  let text = '';
  const child = new LitestreamChild({
    binary: binary.path,
    command: 'generations',
    // It wants a database that is there, and looks at nothing but its time.
    config: restoreConfig(binary.dialect, binary.path, replica),
    args: [binary.path],
    env: replica.env,
    printed: (more) => {
      text += more;
    },
  });
  child.reference();
  const ended = await child.ended;
  if (ended.code !== 0) throw new Error(describeEnd(ended));
  return lastBefore(text, at);
}

/** The last of those that had ended by then, from a table of names, generations, lags, and times. */
export function lastBefore(table: string, at: Date): string | undefined {
  let last: { generation: string; end: number } | undefined;
  for (const line of table.split('\n').slice(1)) {
    const [, generation, , , end = ''] = line.trim().split(/\s+/);
    const time = Date.parse(end);
    if (generation === undefined || Number.isNaN(time) || time > at.getTime()) continue;
    if (last === undefined || time > last.end) last = { generation, end: time };
  }
  return last?.generation;
}
