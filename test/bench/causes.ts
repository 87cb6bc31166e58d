import type { Line } from './harness.ts';

const TRIPS =
  'A statement in a transaction crosses to the writer and back: 14 us on a machine at rest, SQLite included. The ' +
  'commit crosses too, and the calling thread spends some 30 us on a transaction (who holds the writer, its time limit, the ' +
  "caller's asynchronous context, the stack for reports of leaks). A synchronous library pays none of that. Under 64 callers " +
  'the commits are shared, which pays for it.';

/** Why floors were missed, where that is known: by how their scenario begins. Found with --cpu-prof and by taking the time of each step. */
const CAUSES: readonly (readonly [scenario: string, cause: string])[] = [
  [
    'one-shot inserts, synchronous full',
    'The ratio is as large as a flush is slow, and one took better-sqlite3 no more than 0.28 ms here. With 1,024 callers the ' +
      'writer took 7 us a row (in an earlier profile a third of its time in SQLite, a quarter waiting, a seventh in postMessage). ' +
      'Runs differed: 18x to 33x, and 40x to 63x.',
  ],
  [
    'one-shot inserts, synchronous normal',
    'The writer takes 4.8 us a row, with its way there and back, and better-sqlite3 20 us with a commit of its own: there is ' +
      'no flush to be shared. Runs differed: 4.5x to 6.4x.',
  ],
  [
    'createPool to the first answer',
    "Starting a thread and loading the library there is the processor's work alone: 50 to 75 ms in other runs on this " +
      'machine, whose speed varies by a factor of two; the commit before this one took as long in the same minutes.',
  ],
  [
    'what the extension costs: transactions of one insert, 1 caller',
    'With a listener: asking the extension after each commit (2.5 us) and the message with what it tells.',
  ],
  [
    'what the extension costs',
    'Without a listener: the rounds of this run differ by more than what is looked for (4x and more); 41 rounds of it ' +
      'at real-time priority gave 0.99x to 1.09x. With one: asking the extension after each commit takes 2.5 us, and what ' +
      'it tells goes ahead of the answer.',
  ],
  [
    'sharing: eight processes',
    'Eight processes, the writer among them, on two cores: what they compute is the bound, and better-sqlite3 waits for ' +
      'the disk. Runs differed: 7.8x to 28x.',
  ],
  [
    'p99 of a write during a backup, synchronous full',
    'The copy and the flush of each commit share one disk. Runs differed: 0.7x to 2x, and better-sqlite3 with db.backup 0.8x to 2.4x.',
  ],
  ['drizzle: transaction', TRIPS],
  [
    'typeorm: insert, 64 callers',
    "Each insert takes 80 us of the calling thread, TypeORM's own work included. Runs differed: 3.9x to 14x.",
  ],
  [
    'typeorm: save, 64 callers',
    "The calling thread's: of 65 to 80 us for a save TypeORM takes 45, the pool 22, its adapter 11. Stock's saves fall into one " +
      "another's transactions and share their flush by that; the pool's are transactions of their own, whose first " +
      'statements run ahead of their turn. Runs differed: 0.7x to 1.6x.',
  ],
  [
    'typeorm: save, 1 caller',
    `${TRIPS} TypeORM writes numbers into its texts, so that each INSERT is prepared anew, on either driver.`,
  ],
];

/** Why a floor was missed. */
export function causeOf({ scenario }: Line): string {
  return CAUSES.find(([begin]) => scenario.startsWith(begin))?.[1] ?? 'not known yet';
}
