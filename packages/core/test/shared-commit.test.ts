import { expect, test } from 'vitest';
import { SharedCommit } from '../src/writing/shared-commit.js';

/** Transactions of so many ms each, one behind the other, that share what they may: how many did. */
function sharing(transaction: number, commit: number, count: number): number {
  const shared = new SharedCommit(true);
  let now = 1;
  let joined = 0;
  for (let n = 0; n < count; n++) {
    const begunAt = now;
    now += transaction;
    shared.lasted(begunAt, now);
    if (shared.mayJoin(now)) {
      shared.join(now);
      joined++;
      continue;
    }
    shared.sent(now);
    // The next one begins behind this commit, on the thread, and is answered after it.
    now += commit;
    shared.answered(now);
  }
  return joined;
}

test.each<[what: string, transaction: number, commit: number, least: number, most: number]>([
  ['quick ones on a quick disk: up to 5 ms', 0.1, 0.2, 950, 985],
  ['quick ones on a slow disk: up to twice the time of a commit', 1, 10, 900, 985],
  ['slow ones on a quick disk: not at all', 12, 0.2, 0, 0],
  ['slow ones on a slow disk, as long as the wait is no longer', 12, 20, 300, 850],
  ['very slow ones: not at all, whatever the disk', 80, 1000, 0, 0],
])('transactions share commits: %s', (_, transaction, commit, least, most) => {
  const joined = sharing(transaction, commit, 1000);
  expect(joined).toBeGreaterThanOrEqual(least);
  expect(joined).toBeLessThanOrEqual(most);
});

test('what a transaction waited for on the thread is not its own time', () => {
  const shared = new SharedCommit(true);
  let now = 1;
  for (let n = 0; n < 100; n++) {
    const begunAt = now;
    // A commit of another ends 30 ms after it was begun; it itself takes 1 ms more.
    shared.answered(now + 30);
    now += 31;
    shared.lasted(begunAt, now);
    expect(shared.mayJoin(now)).toBe(true);
  }
});
