import type { OpenDatabase } from './contender.ts';

/**
 * What users write around a library whose transactions share one connection: each write waits for
 * the one before it.
 */
export function inTurn(db: OpenDatabase): OpenDatabase {
  let last: Promise<unknown> = Promise.resolve();
  const queue = (work: () => unknown): Promise<unknown> => {
    const done = last.then(work);
    last = done.catch(() => {});
    return done;
  };
  return {
    ...db,
    insert: (item) => queue(() => db.insert(item)),
    update: (id, price) => queue(() => db.update(id, price)),
    transfer: (transfer) => queue(() => db.transfer(transfer)),
  };
}
