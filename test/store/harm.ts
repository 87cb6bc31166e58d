import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { PoolStore } from '@poolite/core';
import type { Bucket } from '../../packages/store/src/bucket.ts';
import type { Telling } from './told.ts';

/** Where in the protocol a process can be killed. */
export const POINTS = [
  'before its PUT is sent',
  'its PUT is on its way',
  'stored, before the reply',
  'before its COMMIT',
  'after its COMMIT',
  'before the COMMIT of what others wrote',
  'after the COMMIT of what others wrote',
  'a snapshot is made',
  'a snapshot is placed',
  'a snapshot was placed',
  'before an entry is collected',
  'after an entry was collected',
  'at its first look at the log',
] as const;

export type Point = (typeof POINTS)[number];

/** A member comes to this harm when it has come to the point so many times. */
export interface Harm {
  point: Point;
  times: number;
}

/** Points that few members come to, and not often. */
export function isRare(point: Point): boolean {
  return point.includes('snapshot') || point.includes('collected') || point.includes('first look');
}

/** The first time of which a process dies. */
export class Death {
  readonly #telling: Telling;
  readonly #harm: Harm | undefined;
  #times = 0;

  constructor(harm: Harm | undefined, telling: Telling) {
    this.#harm = harm;
    this.#telling = telling;
  }

  /** Dies here, where it is to; `last` is done at the very end. */
  at(point: Point, last?: () => void): void {
    if (this.#harm?.point !== point || ++this.#times !== this.#harm.times) return;
    last?.();
    this.#telling.say({ say: 'harm', point });
    process.kill(process.pid, 'SIGKILL');
  }
}

/** A bucket between whose requests a member dies; it keeps what is collected, for whoever checks the log. */
export class HarmfulBucket implements Bucket {
  readonly where: string;
  readonly #bucket: Bucket;
  readonly #archive: Bucket;
  readonly #death: Death;
  /** Where requests are that are on their way as their sender dies. */
  readonly #wire: string;

  constructor(bucket: Bucket, archive: Bucket, wire: string, death: Death) {
    this.where = bucket.where;
    this.#bucket = bucket;
    this.#archive = archive;
    this.#wire = wire;
    this.#death = death;
  }

  async get(key: string): Promise<Uint8Array | undefined> {
    if (key.startsWith('log/')) this.#death.at('at its first look at the log');
    return this.#bucket.get(key);
  }

  async create(key: string, body: Uint8Array): Promise<'created' | 'exists'> {
    if (key.startsWith('snapshots/')) this.#death.at('a snapshot is placed');
    if (!key.startsWith('log/')) {
      const outcome = await this.#bucket.create(key, body);
      if (key.startsWith('snapshots/')) this.#death.at('a snapshot was placed');
      return outcome;
    }
    this.#death.at('before its PUT is sent');
    this.#death.at('its PUT is on its way', () => sendOff(this.#wire, key, body));
    const outcome = await this.#bucket.create(key, body);
    if (outcome === 'created') this.#death.at('stored, before the reply');
    return outcome;
  }

  async put(key: string, body: Uint8Array): Promise<void> {
    if (key.startsWith('log/')) await this.#keep(key);
    if (key.startsWith('pieces/')) this.#death.at('a snapshot is made');
    if (key.startsWith('log/')) this.#death.at('before an entry is collected');
    await this.#bucket.put(key, body);
    if (key.startsWith('log/')) this.#death.at('after an entry was collected');
  }

  list(prefix: string, after?: string): Promise<string[]> {
    return this.#bucket.list(prefix, after);
  }

  async remove(key: string): Promise<void> {
    await this.#keep(key);
    await this.#bucket.remove(key);
  }

  async #keep(key: string): Promise<void> {
    if (!/^(log|segments)\//.test(key)) return;
    const body = await this.#bucket.get(key);
    // The first of them is what was there before it was collected.
    if (body !== undefined) await this.#archive.create(key, body);
  }
}

/** Its requests arrive though it is dead. */
function sendOff(wire: string, key: string, body: Uint8Array): void {
  mkdirSync(wire, { recursive: true });
  writeFileSync(join(wire, `${key.replaceAll('/', '+')}~${process.pid}`), body);
}

/** Tells of replicas that were found unsound, and dies between an answer of the bucket and the COMMIT. */
export function watched(store: PoolStore, telling: Telling, death: Death): PoolStore {
  return {
    ...store,
    replica(host) {
      const replica = store.replica(host);
      const answer = replica.answer.bind(replica);
      replica.answer = async (question) => {
        const { type, reason } = question as { type: string; reason?: string };
        if (type === 'quarantine') telling.say({ say: 'quarantine', reason: `${reason}` });
        const answered = (await answer(question)) as { type: string };
        if (type === 'opened' && answered.type === 'restored') telling.say({ say: 'restored' });
        if (answered.type === 'stored') death.at('before its COMMIT');
        return answered;
      };
      return replica;
    },
  };
}
