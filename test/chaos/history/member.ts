import { createPool } from '@poolite/core';
import { randomFrom } from '../../support/random.ts';
import { PATIENT } from '../entries.ts';
import { Load, type LoadOptions } from './load.ts';

/**
 * One of the processes that share a writer and make a history together. Over IPC: it says 'ready', waits
 * for a word, answers with its history, and closes.
 *
 * Arguments: the file, and what to do as JSON: the load, with a seed.
 */
const [file = '', json = '{}'] = process.argv.slice(2);
const options = JSON.parse(json) as Omit<LoadOptions, 'random'> & { seed: number };

const pool = createPool(file, { writer: 'shared', readers: 1, ...PATIENT });
await pool.ready();
process.send?.('ready');
// Not `once`: as long as it listens, the channel keeps the process alive, whatever the pool does.
process.on('message', async () => {
  const load = new Load(pool, { ...options, random: randomFrom(options.seed) });
  await load.run();
  const { history, counts } = load;
  process.send?.({ history, counts }, () => pool.close().then(() => process.disconnect()));
});
