import { writeSync } from 'node:fs';
import { createPool } from '@poolite/core';
import { callers, MAKE_ENTRIES, MANY, PATIENT, type Write, writes } from './entries.ts';

/**
 * The program that is killed: callers of several kinds write numbered entries through one pool, each
 * awaiting its answer before the next, and say on stdout which of them were answered. One has many
 * writes under way at once: their order must hold all the same.
 *
 * Arguments: the file, and options of the pool as JSON.
 */
const [file = '', json = '{}'] = process.argv.slice(2);

// Whoever waits for it has ended: so does it.
process.stdin.resume().once('end', () => process.exit(1));

const pool = createPool(file, { readers: 1, ...PATIENT, ...JSON.parse(json) });
await pool.exec(MAKE_ENTRIES);
const last = new Map(
  await pool.values<[string, number]>('SELECT caller, max(number) FROM entry GROUP BY caller'),
);

const call = async (caller: string, write: Write) => {
  const atOnce = caller.startsWith('many') ? MANY : 1;
  for (let number = (last.get(caller) ?? 0) + 1; ; number += atOnce) {
    const all = Array.from({ length: atOnce }, async (_, i) => {
      await write(caller, number + i);
      // At once, and not when the event loop turns: what was answered must have been said.
      writeSync(1, `${caller} ${number + i}\n`);
    });
    await Promise.all(all);
  }
};

await Promise.all(callers(writes(pool)).map(([caller, write]) => call(caller, write)));
