import type { Faults } from '../../packages/store/test/support/faulty-bucket.ts';
import { randomFrom } from '../support/random.ts';

/**
 * `bad`: some requests and replies are lost, or late. `dark`: now and then nothing goes through for longer than a
 * commit waits. `twice`: many requests are sent twice. `deaf`: many replies are lost. A number is a quiet one, on which a request takes so many ms.
 */
export type Network = 'bad' | 'dark' | 'twice' | 'deaf' | number;

/** How long it is dark, in ms, and how long it is not: at most. */
const DARK = 500;
const LIGHT = 1500;

/** What goes wrong between a member and the bucket. */
export function badNetwork(network: Network, seed: number): Faults {
  if (typeof network === 'number') {
    return { seed, latency: { get: network, create: network, put: network, list: network } };
  }
  const random = randomFrom(seed);
  if (network === 'twice' || network === 'deaf') {
    const fault = network === 'twice' ? 'repeated' : 'lost reply';
    const isHit = (key: string) => key.startsWith('log/') && random() < 0.4;
    return { seed, decide: (what, key) => (what === 'create' && isHit(key) ? fault : undefined) };
  }
  const chances: Faults['chances'] = {
    create: { 'lost request': 0.03, 'lost reply': 0.05, late: 0.03, repeated: 0.05, refused: 0.01 },
    get: { 'lost request': 0.01, 'lost reply': 0.01 },
    put: { 'lost request': 0.02, 'lost reply': 0.02, late: 0.02 },
    list: { 'lost reply': 0.02 },
  };
  const faults: Faults = { seed, chances, lateAfter: [1, 800] };
  if (network === 'bad') return faults;
  let [from, to] = [performance.now() + random() * LIGHT, 0];
  to = from + random() * DARK;
  faults.decide = (operation) => {
    const time = performance.now();
    if (time > to) {
      from = time + random() * LIGHT;
      to = from + random() * DARK;
    }
    if (time < from) return undefined;
    if (operation !== 'create') return 'lost request';
    return (['lost request', 'lost reply', 'late'] as const)[Math.floor(random() * 3)];
  };
  return faults;
}
