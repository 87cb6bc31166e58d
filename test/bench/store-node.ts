import { createPool } from '@poolite/core';
import { perSecond } from './harness.ts';
import { slowStore } from './slow-store.ts';

/**
 * One of the machines at one bucket. Over IPC it says 'ready', and at each word commits for so many ms and says
 * how often it did, in a second.
 *
 * Arguments: the folder of the bucket, its file, and how long a request takes, in ms; callers, and ms.
 */
const [folder = '', file = '', ...numbers] = process.argv.slice(2);
const [latency = 0, callers = 1, ms = 1000] = numbers.map(Number);

const store = await slowStore(folder, latency);
const pool = createPool(file, { driver: 'node:sqlite', store, readers: 1, retries: 1000 });
process.on('message', async (word) => {
  if (word === 'close') {
    await pool.close();
    process.disconnect();
    return;
  }
  const rate = await perSecond(callers, ms, (caller) =>
    pool.run('UPDATE item SET count = count + 1 WHERE id = ?', [caller]),
  );
  process.send?.(rate);
});
await pool.ready();
process.send?.('ready');
