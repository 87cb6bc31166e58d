import '../support/sources.ts';
import { on } from 'node:events';
import { flushCompileCache } from 'node:module';
import { createPool, type Pool, PoolError } from '@poolite/core';
import { PATIENT } from '../chaos/entries.ts';
import { randomFrom } from '../support/random.ts';
import type { MemberOptions } from './crew.ts';
import { Telling } from './told.ts';

/**
 * One of the machines that share a bucket, under load. It tells all that it asks and hears in a file of its own.
 * Over IPC it says 'ready'; at a word it ends its load, and at
 * another, when all have, it sees the end of the log and closes.
 *
 * Arguments: what to do, as JSON.
 */
const options = JSON.parse(process.argv[2] as string) as MemberOptions;
const { file, seed, name, callers, again, kinds, calls } = options;

// The sources are found once the first of these imports has been evaluated.
const { Load } = await import('./load.ts');
const { memberStore } = await import('./member-store.ts');

const telling = new Telling(options.told);
const random = randomFrom(seed);
const store = memberStore(options, telling);

/** On a bad network it takes several times. */
async function opened(tried = 1): Promise<Pool> {
  const pool = createPool(file, {
    ...{ driver: 'node:sqlite', store, readers: 1, ...PATIENT },
    ...{ freshness: { interval: 200 }, retries: options.retries },
  });
  try {
    await pool.ready();
    return pool;
  } catch (error) {
    await pool.close();
    if (!PoolError.is(error) || error.code !== 'POOL_STORE' || tried > 50) throw error;
    return opened(tried + 1);
  }
}

/** The words of the parent, one after the other. */
const words = on(process, 'message');
const word = () => words.next();
process.once('disconnect', () => process.exit(1));
const pool = await opened();
// Else it would be kept at the end, which many do not come to.
flushCompileCache();
process.send?.('ready');
const load = new Load(pool, telling, { name, callers, random, again, kinds, calls });
const ran = load.run();
ran.catch((error) => telling.say({ say: 'wrong', text: String(error.stack) }));
const { value } = await word();
if (value[0] === 'end') load.end();
await ran;
// Only once all have ended, the log has an end to see.
process.send?.('idle');
await word();
for (let tried = 1; ; tried++) {
  try {
    await pool.refresh();
    break;
  } catch (error) {
    // On a bad network it takes several times.
    if (tried > 50) throw error;
  }
}
const stats = pool.stats().replica;
await pool.close();
process.removeAllListeners('disconnect');
process.send?.({ stats }, () => process.disconnect());
