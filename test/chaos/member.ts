import { writeSync } from 'node:fs';
import { createPool, PoolError } from '@poolite/core';

/**
 * One of the processes that share a writer, under load: callers that insert numbered rows, each
 * awaiting its answer before the next, and callers that move money. It says on stdout what was
 * acknowledged, at once, and what failed. SIGTERM ends it cleanly.
 *
 * Arguments: the file, its name, and options as JSON.
 */
const [file = '', name = '', json = '{}'] = process.argv.slice(2);

const INSERTERS = 6;
const BANKERS = 2;
const ACCOUNTS = 20;

const say = (line: string) => writeSync(1, `${line}\n`);

const pool = createPool(file, {
  writer: 'shared',
  readers: 1,
  acquireTimeout: 5000,
  ...JSON.parse(json),
});
pool.on('writer', ({ role }) => say(`role ${role} ${Date.now()}`));

let ending = false;
const finished: Promise<void>[] = [];

/** What may happen to a statement while processes come, go and hang. */
function isExpected(error: unknown): error is PoolError {
  return (
    PoolError.is(error) &&
    ['POOL_OUTCOME_UNKNOWN', 'POOL_THREAD_LOST', 'POOL_TIMEOUT'].includes(error.code)
  );
}

async function work(what: string, step: () => Promise<void>): Promise<void> {
  while (!ending) {
    try {
      await step();
    } catch (error) {
      if (!isExpected(error)) {
        say(
          `wrong ${what} ${error instanceof Error ? error.stack : String(error)}`.replaceAll(
            '\n',
            ' | ',
          ),
        );
        process.exit(1);
      }
      say(`failed ${what} ${error.code}`);
    }
  }
}

const inserter = (caller: number) => {
  let number = 0;
  return work('insert', async () => {
    number++;
    await pool.run('INSERT INTO entry (member, caller, number) VALUES (?, ?, ?)', [
      name,
      caller,
      number,
    ]);
    say(`entry ${caller} ${number}`);
    // What was acknowledged to this process, this process sees.
    if (number % 16 === 0) {
      const [seen] = await pool.values<[number]>(
        'SELECT max(number) FROM entry WHERE member = ? AND caller = ?',
        [name, caller],
      );
      if (seen?.[0] !== number) throw new Error(`entry ${number} was acknowledged, ${seen} seen`);
    }
  });
};

const banker = (caller: number) => {
  let number = 0;
  return work('transfer', async () => {
    number++;
    const from = (number * 7 + caller) % ACCOUNTS;
    const to = (from + 1 + (number % (ACCOUNTS - 1))) % ACCOUNTS;
    await pool.transaction(async (tx) => {
      await tx.run('UPDATE account SET cents = cents - ? WHERE id = ?', [number % 50, from]);
      await tx.run('UPDATE account SET cents = cents + ? WHERE id = ?', [number % 50, to]);
      await tx.run('INSERT INTO transfer (member, caller, number) VALUES (?, ?, ?)', [
        name,
        caller,
        number,
      ]);
    });
    say(`transfer ${caller} ${number}`);
  });
};

process.on('SIGTERM', async () => {
  ending = true;
  await Promise.all(finished);
  await pool.close();
  say('closed');
  process.exit(0);
});

await pool.ready();
say('ready');
for (let caller = 0; caller < INSERTERS; caller++) finished.push(inserter(caller));
for (let caller = 0; caller < BANKERS; caller++) finished.push(banker(caller));
