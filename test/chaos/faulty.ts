import { writeSync } from 'node:fs';
import { createPool } from '@poolite/core';
import { callers, MAKE_ENTRIES, MANY, PARTS, PATIENT, type Write, writes } from './entries.ts';

/**
 * The program whose disk fails: callers of every kind write numbered entries through one pool, whatever
 * they hear, and say on stdout what that was. SIGTERM closes the pool.
 *
 * Arguments: the file, and options of the pool as JSON.
 */
const [file = '', json = '{}'] = process.argv.slice(2);

let ending = false;

async function heard(answer: Promise<unknown>): Promise<string> {
  try {
    await answer;
    return 'stored';
  } catch (error) {
    return String((error as { code?: unknown }).code ?? error).replaceAll(/\s+/g, '_');
  }
}

// Whoever waits for it has ended: so does it.
process.stdin.resume().once('end', () => process.exit(1));

const pool = createPool(file, { readers: 1, ...PATIENT, ...JSON.parse(json) });
await pool.exec(MAKE_ENTRIES);

/** What is seen of the entries is whole, whatever fails beside it. */
async function read(): Promise<void> {
  const rows = await pool.values<[string, number]>(
    'SELECT caller, count(*) FROM entry GROUP BY caller',
  );
  for (const [caller, count] of rows) {
    const parts = PARTS[caller.split('-')[0] as string] as number;
    if (count % parts !== 0) throw new Error(`${caller}: ${count} parts are seen`);
  }
}

const call = async (caller: string, write: Write) => {
  const atOnce = caller.startsWith('many') ? MANY : 1;
  for (let number = 1; !ending; number += atOnce) {
    const all = Array.from({ length: atOnce }, async (_, i) => {
      const outcome = await heard(write(caller, number + i));
      // At once, and not when the event loop turns: what was answered must have been said.
      writeSync(1, `${caller} ${number + i} ${outcome}\n`);
    });
    await Promise.all(all);
    if (number % 4 === 1) writeSync(1, `read ${number} ${await heard(read())}\n`);
  }
};

const all = callers(writes(pool)).map(([caller, write]) => call(caller, write));
process.once('SIGTERM', async () => {
  ending = true;
  await Promise.all(all);
  writeSync(1, `close 1 ${await heard(pool.close())}\n`);
  process.exit(0);
});
