import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises';
import type { City } from './cities.ts';
import { type Answered, answerRequests } from './requests.ts';
import { Standstill } from './standstill.ts';
import type { Neighbours, Store } from './store.ts';

/** How many callers of each kind write at once. */
export const CALLERS = { move: 32, visit: 64 } as const;

/** What became of one run of the load. */
export interface Outcome {
  seconds: number;
  moves: number;
  visits: number;
  requests: Answered;
  standstill: number;
  /** Sums over all cities that were taken meanwhile, and those of them that were wrong. */
  sums: number;
  wrongSums: number;
  query: { ms: number; result: Neighbours } | undefined;
}

/** How the loading of the cities went. */
export interface Loading {
  seconds: number;
  standstill: number;
}

export async function loadInto(store: Store, cities: readonly City[]): Promise<Loading> {
  await store.open();
  const standstill = new Standstill();
  const started = performance.now();
  await store.load(cities);
  const seconds = (performance.now() - started) / 1000;
  return { seconds, standstill: await standstill.end() };
}

/**
 * Everything at once, for so many seconds: transactions and inserts by many callers, each of whom
 * lets the event loop turn between two calls; requests that read; sums over all cities; and one
 * long query where `largest` says over how many cities.
 */
export async function runLoad(
  store: Store,
  cities: readonly City[],
  people: number,
  seconds: number,
  largest?: number,
): Promise<Outcome> {
  const standstill = new Standstill();
  const counts = { moves: 0, visits: 0, sums: 0, wrongSums: 0 };
  const some = () => cities[Math.floor(Math.random() * cities.length)] as City;
  const started = performance.now();
  const end = started + seconds * 1000;
  const callers = (count: number, call: () => Promise<unknown>) =>
    Array.from({ length: count }, async () => {
      // Once at least, on whatever machine.
      do {
        await call();
        await nextTurn();
      } while (performance.now() < end);
    });
  const writers = [
    ...callers(CALLERS.move, async () => {
      await store.move(some().id, some().id);
      counts.moves++;
    }),
    ...callers(CALLERS.visit, async () => {
      await store.visit(some().id);
      counts.visits++;
    }),
  ];
  const sums = callers(1, async () => {
    counts.sums++;
    if ((await store.people()) !== people) counts.wrongSums++;
    await sleep(100);
  });
  let asked = 0;
  const requests = answerRequests(started, end, () =>
    ++asked % 10 === 0 ? store.largest(some().country) : store.find(some().id),
  );
  const query = largest === undefined ? undefined : await timed(() => store.neighbours(largest));
  await Promise.all(writers);
  const took = (performance.now() - started) / 1000;
  await Promise.all(sums);
  return {
    ...counts,
    query,
    seconds: took,
    requests: await requests,
    standstill: await standstill.end(),
  };
}

async function timed<T>(work: () => Promise<T>): Promise<{ ms: number; result: T }> {
  const started = performance.now();
  const result = await work();
  return { ms: performance.now() - started, result };
}

/** Over how many cities the long query takes about so many seconds here: its time is quadratic. */
export async function sizeOfQuery(store: Store, seconds: number): Promise<number> {
  const trial = 500;
  await store.neighbours(trial);
  const { ms } = await timed(() => store.neighbours(trial));
  return Math.round(trial * Math.sqrt((seconds * 1000) / ms));
}
