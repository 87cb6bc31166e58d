import type { Fault } from '../chaos/faults.ts';
import { Report, type Tries } from '../chaos/report.ts';
import { randomFrom } from '../support/random.ts';
import type { Era } from './era.ts';
import { POINTS, type Point } from './harm.ts';

/** Kills of one era: so many as its log can be replayed of in seconds. */
const KILLS = 39;

/** Once after the other; each has a seed of its own, which is told where something is wrong. */
async function eras(
  { rounds, seed }: Tries,
  next: (random: () => number, round: number) => Omit<Era, 'seed'>,
): Promise<Report> {
  // The sources of the package can be loaded only now: see there.
  await import('../support/sources.ts');
  const { live } = await import('./era.ts');
  const report = new Report();
  const random = randomFrom(seed);
  for (let round = 0; round < rounds; round++) {
    const own = Math.floor(random() * 2 ** 31);
    report.add(await live({ ...next(random, round), seed: own }), '');
    report.count('eras');
  }
  return report;
}

/** Kills at every point of the protocol, in turn on a good network and on a bad one. */
async function kill({ rounds, seed }: Tries): Promise<Report> {
  const kills = rounds * POINTS.length;
  const report = await eras({ rounds: Math.ceil(kills / KILLS), seed }, (_, era) => {
    const points = Array.from(
      { length: Math.min(KILLS, kills - era * KILLS) },
      (_, i) => POINTS[(era * KILLS + i) % POINTS.length] as Point,
    );
    const options = era % 3 === 2 ? { network: 'bad' as const } : {};
    return { members: 4, points, stops: 6, snapshotEvery: 25, options };
  });
  report.fired(...POINTS.map((point) => `harm: ${point}`), 'requests that outlived their sender');
  return report;
}

/** Requests and replies that are lost, late or sent twice, and times in which nothing goes through. */
async function network({ rounds, seed }: Tries): Promise<Report> {
  const report = await eras({ rounds, seed }, (_, round) => ({
    ...{ members: 4, stops: 8, ms: 10_000, snapshotEvery: round % 2 === 0 ? 0 : 30 },
    options: { network: round % 3 === 0 ? ('bad' as const) : ('dark' as const) },
  }));
  report.fired('ok', 'unknown POOL_OUTCOME_UNKNOWN', 'stored all the same', 'not stored');
  return report;
}

export const STORE_FAULTS: Readonly<Record<string, Fault>> = {
  'store-kill': { round: `kill at each of ${POINTS.length} points`, rounds: 100, run: kill },
  'store-network': { round: 'era of four machines', rounds: 20, run: network },
};
