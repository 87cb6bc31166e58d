import { resolve } from 'node:path';
import { PoolError } from '../../errors.js';
import type { BackupSendingMessage, BackupSentMessage, Pin } from '../../observing/events.js';
import type { BackupStats } from '../../observing/stats.js';
import type { ConnectionOptions } from '../../threads/connection.js';
import type { StoredBackup, TransferProgress } from '../destinations/destination.js';
import { isRemote, newDestination } from '../destinations/option.js';
import { refuseAborted, withCaller } from '../jobs/error.js';
import { Job, type JobOptions } from '../jobs/job.js';
import type { BackupJob, ListedFile, ListJob } from '../jobs/messages.js';
import {
  type BackupFile,
  type BackupOptions,
  type BackupResult,
  checkCall,
  checkPath,
  type ResolvedBackups,
} from './options.js';
import { Schedule } from './schedule.js';
import { beganAt, Shipping } from './shipping.js';
import { backupToBucket } from './to-bucket.js';

/** What backups need of the database. */
export interface BackupsOwner {
  readonly connection: ConnectionOptions;
  readonly inMemory: boolean;
  readonly settings: ResolvedBackups | undefined;
  readonly ready: Promise<void>;
  /** Why nothing may be begun, where it may not. */
  refused(): Error | undefined;
  /** Resolves when the one-shot writes issued so far are answered. */
  writesBefore(): Promise<void>;
  /** Copies a database in memory to a file. */
  copyMemory(to: string): Promise<void>;
  /** Something ended: who closes may look whether all has. */
  ended(): void;
  made(result: BackupResult, scheduled: boolean): void;
  sending(message: Omit<BackupSendingMessage, 'file'>): void;
  sent(message: Omit<BackupSentMessage, 'file'>): void;
  failed(error: Error): void;
}

/** One of the backups by schedule, as `pool.backups.list` tells of it. */
export interface ListedBackup extends BackupFile {
  /** The name of its file. */
  name: string;
  /** When it was begun. */
  createdAt: Date;
  /** How long ago that was, in ms. */
  age: number;
  /** What of it is at the destination; undefined where nothing is. */
  stored: StoredBackup | undefined;
}

/** Those of the folder and those of the destination, the newest first. */
export function listed(files: ListedFile[], there: StoredBackup[], now: number): ListedBackup[] {
  const stored = new Map(there.map((one) => [one.name, one]));
  const all: ListedBackup[] = files.map(({ createdAt, ...file }) => ({
    ...file,
    createdAt: new Date(createdAt),
    age: now - createdAt,
    stored: stored.get(file.name),
  }));
  const here = new Set(files.map(({ name }) => name));
  for (const one of there) {
    if (here.has(one.name)) continue;
    const createdAt = beganAt(one);
    all.push({
      name: one.name,
      path: one.location,
      bytes: one.bytes,
      pages: 0,
      pageSize: 0,
      verdict: 'unverified',
      verified: false,
      problems: [],
      compressed: one.name.endsWith('.gz') ? 'gzip' : one.name.endsWith('.zst') ? 'zstd' : false,
      createdAt,
      age: now - createdAt.getTime(),
      stored: one,
    });
  }
  return all.sort((a, b) => a.age - b.age);
}

/** Options of `pool.backups.list`. */
export interface ListBackupsOptions {
  /** Checks each one anew. Default: tells what was found when it was made, and whether its file changed. */
  verify?: 'quick' | 'full' | false | undefined;
  /** Gives it up, with POOL_ABORTED. */
  signal?: AbortSignal | undefined;
}

/** What came of `pool.backups.requestBackup`. */
export interface BackupRequest {
  /** Whether a backup was begun. False: one is under way already. */
  started: boolean;
  /** Where it was not: who is at it. */
  reason: 'running' | 'another process' | undefined;
  /** The path of the backup, where this process makes it. */
  path: string | undefined;
  /**
   * The backup that this process makes, begun now or before; it need not be awaited. Undefined
   * where another process is at it.
   */
  done: Promise<BackupResult> | undefined;
}

/** The backups by schedule of a pool: `pool.backups`. */
export interface PoolBackups {
  /**
   * The backups of the folder and of the destination, the newest first. The `path` of one that is at
   * the destination alone is its place there, and nothing else is known of it.
   *
   * @throws PoolError POOL_MISUSE without the option `backups`; POOL_BACKUP where the folder cannot be
   * read; POOL_ABORTED.
   */
  list(options?: ListBackupsOptions): Promise<ListedBackup[]>;
  /**
   * Begins a backup now, whenever the next is due. Resolves once it has begun, or is known to be
   * under way; its failure rejects `done`, and what keeps it from beginning rejects the call.
   *
   * @throws PoolError POOL_MISUSE without the option `backups`; POOL_BACKUP.
   */
  requestBackup(): Promise<BackupRequest>;
}

/** The backups of one database: those under way, and those by schedule. */
export class Backups {
  readonly #owner: BackupsOwner;
  readonly #jobs = new Set<{ abort(reason: () => unknown): void; result: Promise<unknown> }>();
  /** Copies under way: each keeps the WAL from being emptied. */
  readonly #copies = new Set<{ since: number; openedAt: string }>();
  readonly schedule: Schedule | undefined;
  /** What sends the backups by schedule elsewhere. */
  readonly shipping: Shipping | undefined;
  readonly counts = { made: 0, failed: 0, givenUp: 0, lastAt: 0, lastDuration: 0, lastBytes: 0 };
  /** Calls that somebody waits for. */
  asked = 0;

  constructor(owner: BackupsOwner) {
    this.#owner = owner;
    const { settings } = owner;
    if (settings?.destination !== undefined) {
      this.shipping = new Shipping(newDestination(settings.destination), settings.keep, owner);
    }
    if (settings !== undefined) this.schedule = new Schedule(settings, this, owner);
  }

  /** Makes a backup, here or in a bucket. */
  async backup(target: string, options: BackupOptions = {}): Promise<BackupResult> {
    checkPath('the target of a backup', target);
    checkCall('backup', options);
    refuseAborted(options.signal);
    const openedAt = new Error('a backup began here').stack ?? '';
    const result = await this.ask(() => {
      if (!isRemote(target)) return this.#make(resolve(target), options, openedAt);
      return this.#toBucket(target, options, openedAt);
    });
    this.note(result, false);
    return result;
  }

  async #make(target: string, options: BackupOptions, openedAt: string): Promise<BackupResult> {
    const { verify = 'quick', compress = false, replace = true } = options;
    const { pace, onProgress, signal } = options;
    const owner = this.#owner;
    const { inMemory } = owner;
    const job: BackupJob = { kind: 'backup', target, replace, verify, compress, pace, inMemory };
    await owner.writesBefore();
    refuseAborted(signal);
    return this.run<BackupResult>(
      new Job(job, owner.connection, {
        signal,
        note: this.noting((note, send) => {
          if (note.type === 'progress') return onProgress?.(note.progress);
          return note.type === 'copy' ? this.#copy(note.to, send) : undefined;
        }, openedAt),
      }),
    );
  }

  async #toBucket(url: string, options: BackupOptions, openedAt: string): Promise<BackupResult> {
    const stop = new AbortController();
    const signals = options.signal === undefined ? [] : [options.signal];
    const signal = AbortSignal.any([stop.signal, ...signals]);
    let isMade = false;
    // What it throws, at once or later, ends the backup.
    const onSending = async (progress: TransferProgress) => {
      try {
        await options.onSending?.(progress);
      } catch (error) {
        stop.abort(error);
      }
    };
    const how = { ...options, signal, onSending };
    const result = backupToBucket(url, how, this.#owner, async (file) => {
      const made = await this.#make(file, { ...options, signal }, openedAt);
      isMade = true;
      return made;
    });
    const work = { abort: (reason: () => unknown) => stop.abort(reason()), result };
    this.#jobs.add(work);
    try {
      return await result;
    } catch (error) {
      // What keeps it from being made is counted already.
      if (isMade) this.counts[signal.aborted ? 'givenUp' : 'failed']++;
      throw stop.signal.aborted ? stop.signal.reason : error;
    } finally {
      this.#jobs.delete(work);
      this.#owner.ended();
    }
  }

  async list(options: ListBackupsOptions = {}): Promise<ListedBackup[]> {
    const { directory } = this.#settings('list');
    checkCall('backups.list', options);
    const { verify = false, signal } = options;
    refuseAborted(signal);
    const job: ListJob = { kind: 'list', directory, verify };
    const files = await this.ask(() =>
      this.run<ListedFile[]>(new Job(job, this.#owner.connection, { signal })),
    );
    const there = (await this.shipping?.destination.list()) ?? [];
    return listed(files, there, Date.now());
  }

  async requestBackup(): Promise<BackupRequest> {
    this.#settings('requestBackup');
    await this.#owner.ready;
    const refusal = this.#owner.refused();
    if (refusal !== undefined) throw refusal;
    return (this.schedule as Schedule).request();
  }

  #settings(method: string): ResolvedBackups {
    const { settings } = this.#owner;
    if (settings !== undefined) return settings;
    throw new PoolError(
      'POOL_MISUSE',
      `pool.backups.${method}() needs the option 'backups' of createPool, which names their folder`,
    );
  }

  /** Runs what somebody waits for: closing the pool waits for it too. */
  async ask<T>(work: () => Promise<T>): Promise<T> {
    this.asked++;
    try {
      return await withCaller(this.ask, async () => {
        await this.#owner.ready;
        const refusal = this.#owner.refused();
        if (refusal !== undefined) throw refusal;
        return work();
      });
    } finally {
      this.asked--;
      this.#owner.ended();
    }
  }

  /** Keeps a job in mind until it has ended. */
  async run<T>(job: Job<T>): Promise<T> {
    this.#jobs.add(job);
    try {
      return await job.result;
    } catch (error) {
      if (job.kind === 'list') throw error;
      const code = String((error as { code?: unknown }).code);
      if (['POOL_ABORTED', 'POOL_CLOSED'].includes(code)) this.counts.givenUp++;
      else this.counts.failed++;
      throw error;
    } finally {
      this.#jobs.delete(job);
      // One that failed had no last progress.
      if (this.#jobs.size === 0) this.#copies.clear();
      this.#owner.ended();
    }
  }

  /** A backup was made. */
  note(result: BackupResult, scheduled: boolean): void {
    const { counts } = this;
    counts.made++;
    counts.lastAt = Date.now();
    counts.lastDuration = result.duration;
    counts.lastBytes = result.bytes;
    this.#owner.made(result, scheduled);
  }

  /** Listens to the notes of a backup: from the first to the last progress a copy is under way. */
  noting(listen: NonNullable<JobOptions['note']>, openedAt: string): JobOptions['note'] {
    const copy = { since: 0, openedAt };
    return (note, send) => {
      if (note.type === 'scratch') {
        copy.since = performance.now();
        this.#copies.add(copy);
      } else if (note.type === 'progress' && note.progress.remainingPages === 0) {
        this.#copies.delete(copy);
        this.#owner.ended();
      }
      return listen(note, send);
    };
  }

  /** Who keeps the WAL from being emptied. */
  pins(): Pin[] {
    const now = performance.now();
    return [...this.#copies].map(({ since, openedAt }) => ({
      kind: 'backup',
      ageMs: now - since,
      openedAt,
    }));
  }

  async #copy(to: string, send: (message: unknown) => void): Promise<void> {
    await this.#owner.copyMemory(to);
    send('copied');
  }

  /** Another pool shares the database: its `onError` is the one that still is of use. */
  takeOver(settings: ResolvedBackups | undefined): void {
    if (this.schedule !== undefined) this.schedule.onError = settings?.onError;
  }

  /** The pool closes: nothing is begun by schedule any more, and what nobody waits for is given up. */
  stop(error: Error): void {
    this.schedule?.stop(error);
  }

  /** Sends what is missing at the destination. */
  async ship(): Promise<void> {
    const { shipping } = this;
    const { settings, connection } = this.#owner;
    if (shipping === undefined || settings === undefined) return;
    const job: ListJob = { kind: 'list', directory: settings.directory, verify: false };
    const result = shipping.send(settings.directory, connection, () =>
      this.run<ListedFile[]>(new Job(job, connection)),
    );
    const work = { abort: (reason: () => unknown) => shipping.stop(reason() as Error), result };
    this.#jobs.add(work);
    await result.finally(() => {
      this.#jobs.delete(work);
      this.#owner.ended();
    });
  }

  /** Gives up what is under way, and waits until nothing of it is left. */
  async abandon(error: Error): Promise<void> {
    const jobs = [...this.#jobs];
    for (const job of jobs) job.abort(() => error);
    await Promise.allSettled(jobs.map(({ result }) => result));
    // Those who waited for them have their turn before it is counted who still waits.
    await new Promise((resolve) => setImmediate(resolve));
  }

  read(): BackupStats {
    const { skipped = 0, removed = 0, nextAt = 0 } = this.schedule ?? {};
    const { stored = 0, storedRemoved = 0 } = this.shipping?.counts ?? {};
    const sending = this.shipping?.progress;
    const shipped = { stored, storedRemoved, sending };
    return { running: this.#jobs.size, ...this.counts, skipped, removed, ...shipped, nextAt };
  }
}
