import { randomInt } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { type Era, live } from './era.ts';
import { POINTS } from './harm.ts';
import type { Network } from './network.ts';
import type { Broken } from './variants.ts';

/** `pnpm test:chaos store-…` does each of these for longer, and repeats what a seed began. */
const SEED = Number(process.env.CHAOS_SEED ?? randomInt(1, 2 ** 31));

/** In ms: it only ends what hangs. A machine may stand still for minutes. */
const LIMIT = 900_000;

async function lived(era: Omit<Era, 'seed'>): Promise<string[]> {
  const { counts, wrong } = await live({ ...era, seed: SEED });
  console.log(`CHAOS_SEED=${SEED} ${JSON.stringify(counts)}`);
  return wrong;
}

type Row = [what: string, era: Omit<Era, 'seed'>];

const SOUND: Row[] = [
  ['killed at each point', { members: 4, points: POINTS, most: 6, stops: 2, snapshotEvery: 10 }],
  ['cut off now and then', { members: 3, stops: 3, options: { network: 'dark', calls: 15 } }],
];

type Wrong = [broken: Broken, network: Network | undefined, era: Partial<Era>, found: RegExp];

const ONE = { members: 1, callers: 1 };

const WRONG: Wrong[] = [
  ['no token compared', 'twice', ONE, /has failed, and is in the log/],
  ['unknown taken for lost', 'deaf', ONE, /has failed, and is in the log/],
  ['COMMIT before PUT', undefined, { callers: 1 }, /follows another entry|which never was/],
  [
    'position outside of the transaction',
    undefined,
    // What only adds rows does no harm a second time.
    { ...ONE, points: ['after its COMMIT'], most: 4, renewed: 0, options: { kinds: ['run'] } },
    /was unsound/,
  ],
  ['unconditional PUT', undefined, {}, /was acknowledged, and is not|does not follow/],
];

// What is tried at random is not tried again.
const isOld = Number.parseInt(process.versions.node, 10) < 24;

// A pool with a store needs Node.js 24, and a kill a system that has signals.
describe.runIf(process.platform !== 'win32' && !isOld)(
  'machines',
  { retry: 0, timeout: LIMIT },
  () => {
    test.each(SOUND)('that share a bucket lose and double nothing: %s', async (_, era) => {
      expect(await lived(era)).toEqual([]);
    });

    test.each(WRONG)('are caught that do it wrong: %s', async (broken, network, era, found) => {
      const how = network === undefined ? {} : { network };
      const options = { broken, calls: 20, ...how, ...era.options };
      const wrong = await lived({ members: 2, ...era, options });
      expect(wrong.join('\n')).toMatch(found);
    });
  },
);
