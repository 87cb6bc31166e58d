import { rm } from 'node:fs/promises';
import type { ReplicaHost } from '@poolite/core';
import { collect } from './collection.js';
import { DamagedError, FormatError } from './envelope.js';
import type { Log } from './log.js';
import { headOf } from './place.js';
import { fetchSnapshot, storeSnapshot } from './snapshots.js';

/** Makes snapshots as the log grows, and clears away what they make needless. */
export class SnapshotKeeper {
  readonly #log: Log;
  readonly #host: Pick<ReplicaHost, 'file' | 'backup'>;
  readonly #every: number;
  readonly #hurry: AbortController;
  /** Why the last one could not be made. */
  error: Error | undefined;
  #underWay: Promise<void> | undefined;
  #ended = false;
  /** Whether one is to be made: it may come to that while the one before it is made. */
  #isDue = false;

  /** @param every so many entries; 0: never. */
  constructor(
    log: Log,
    host: Pick<ReplicaHost, 'file' | 'backup'>,
    every: number,
    hurry: AbortController,
  ) {
    this.#hurry = hurry;
    this.#log = log;
    this.#host = host;
    this.#every = every;
  }

  /**
   * Fetches the newest snapshot into a file; its number, or 0 where there is none. One that is damaged is passed over:
   * entries are kept as far back as the one before it.
   */
  async fetchNewest(file: string): Promise<number> {
    const { signal } = this.#hurry;
    for (;;) {
      const numbers = await this.#log.snapshots();
      let damaged: unknown;
      for (const number of numbers.toReversed()) {
        await rm(file, { force: true });
        try {
          const fetched = await fetchSnapshot(this.#log.bucket, number, file, { signal });
          if (fetched !== undefined) return number;
          // It was cleared away meanwhile: there are newer ones.
          damaged = undefined;
          break;
        } catch (error) {
          if (!(error instanceof DamagedError) || error instanceof FormatError) throw error;
          damaged ??= error;
        }
      }
      if (damaged !== undefined) throw damaged;
      if (numbers.length === 0) return 0;
    }
  }

  /** An entry of this machine is in the log. Who commits the last of so many makes the snapshot. */
  committed(number: number): void {
    if (this.#every === 0 || number % this.#every !== 0 || this.#ended) return;
    this.#isDue = true;
    this.#underWay ??= this.#work();
  }

  /** Resolves when nothing is under way any more. */
  async end(): Promise<void> {
    this.#ended = true;
    await this.#underWay;
  }

  async #work(): Promise<void> {
    try {
      while (this.#isDue && !this.#ended) {
        this.#isDue = false;
        await this.#make();
        this.error = undefined;
      }
    } catch (error) {
      this.error = error as Error;
    } finally {
      this.#underWay = undefined;
    }
  }

  async #make(): Promise<void> {
    const copy = `${this.#host.file}.snapshot`;
    try {
      await this.#host.backup(copy);
      await storeSnapshot(this.#log.bucket, copy, headOf(copy));
    } finally {
      await rm(copy, { force: true });
    }
    // It does so much at a time, and may be ended between.
    while (!this.#ended && (await collect(this.#log)).more);
  }
}
