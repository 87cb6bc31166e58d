/**
 * Does the work for every item, so many at once, and gives the results in order. The first failure
 * ends it: nothing new is begun, what is under way is waited for, and the failure thrown.
 */
export async function parallel<Item, Result>(
  items: Iterable<Item>,
  width: number,
  work: (item: Item, index: number) => Promise<Result>,
): Promise<Result[]> {
  const results: Result[] = [];
  const source = items[Symbol.iterator]();
  let next = 0;
  let failed = false;
  const worker = async () => {
    for (;;) {
      if (failed) return;
      const { done, value } = source.next();
      if (done === true) return;
      const index = next++;
      try {
        results[index] = await work(value, index);
      } catch (error) {
        failed = true;
        throw error;
      }
    }
  };
  const workers = Array.from({ length: width }, worker);
  const ends = await Promise.allSettled(workers);
  for (const end of ends) if (end.status === 'rejected') throw end.reason;
  return results;
}

/**
 * The results of the work for every item, in order, with so many under way at once. Nothing is
 * under way any more when it ends, by whatever.
 */
export async function* ahead<Item, Result>(
  items: Iterable<Item>,
  width: number,
  work: (item: Item) => Promise<Result>,
): AsyncGenerator<Result> {
  const source = items[Symbol.iterator]();
  const underWay: Promise<Result>[] = [];
  const begin = () => {
    const { done, value } = source.next();
    if (done === true) return;
    const result = work(value);
    // It is heard when its turn comes; until then nobody listens.
    result.catch(() => {});
    underWay.push(result);
  };
  try {
    for (let i = 0; i < width; i++) begin();
    for (let next = underWay.shift(); next !== undefined; next = underWay.shift()) {
      const result = await next;
      begin();
      yield result;
    }
  } finally {
    await Promise.allSettled(underWay);
  }
}
