import { existsSync } from 'node:fs';
import { dirname } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { PoolError } from '../../errors.js';
import type { ReplicationMessage, ReplicationState } from '../../observing/events.js';
import type { ReplicationStats } from '../../observing/stats.js';
import type { ConnectionOptions } from '../../threads/connection.js';
import { askBinary, type Binary, findBinary } from './binary.js';
import { describeEnd, type Ended, GUARD, LitestreamChild } from './child.js';
import { replicateConfig } from './config.js';
import { Lag } from './lag.js';
import { isLitestream, ReplicationLock } from './lock.js';
import type { LogEvent } from './log.js';
import { type ReplicateSettings, shownUrl } from './options.js';
import { restoreFrom } from './restore.js';

/** Whoever waits for another process's replication looks again after so many ms. */
const STANDBY = 1000;
/** The child of a process that died is given so many ms for its last sync. */
const LAST_SYNC = 30_000;
/** How often a last sync is tried. */
const LAST_TRIES = 3;
const FIRST_BACKOFF = 100;
const LONGEST_BACKOFF = 30_000;
/** A child that ran for so many ms was well: the next end is the first of its kind. */
const WELL = 60_000;

function closedError(): PoolError {
  return new PoolError('POOL_CLOSED', 'the pool is closed');
}

export interface ReplicationOwner {
  /** When the WAL was last written, in ms of the clock; 0 where there is none yet. */
  writtenAt(): number;
  changed(message: ReplicationMessage): void;
}

/**
 * Keeps Litestream running beside a pool. One process replicates a file; others that would stand
 * by, and take over when it ends.
 */
export class Replication {
  readonly #settings: ReplicateSettings;
  readonly #file: string;
  readonly #owner: ReplicationOwner;
  readonly #lock: ReplicationLock;
  readonly #lag: Lag;
  readonly #stop = new AbortController();
  #binary: Binary | undefined;
  #state: ReplicationState = 'starting';
  #child: LitestreamChild | undefined;
  #counts = { restarts: 0, errors: 0 };
  #restoredBytes: number | undefined;
  #lastError = '';
  /** Whether the child has sent something; when it was ready. */
  #hasSent = false;
  #readyAt = Number.POSITIVE_INFINITY;
  #run: Promise<void> = Promise.resolve();
  #looker: NodeJS.Timeout | undefined;

  constructor(settings: ReplicateSettings, connection: ConnectionOptions, owner: ReplicationOwner) {
    this.#settings = settings;
    this.#file = connection.file;
    this.#owner = owner;
    this.#lock = new ReplicationLock(connection);
    this.#lag = new Lag(settings.syncInterval, Date.now());
  }

  /** Before the file is opened: finds the program, and restores a missing file. */
  async prepare(): Promise<void> {
    const { signal } = this.#stop;
    this.#binary = await askBinary(findBinary(this.#settings.binary), signal);
    // Where the folder is missing too, opening the file tells so.
    if (!this.#settings.restore || !existsSync(dirname(this.#file))) return;
    while (!existsSync(this.#file)) {
      // Another process may restore it at this moment: two would make two files of one name.
      if (await this.#takeLock()) return this.#restore(this.#binary);
      await this.#pause(STANDBY / 10);
    }
  }

  /** Ends a restore that is under way; the pool then fails to open. */
  dontPrepare(): void {
    if (this.#looker === undefined) this.#stop.abort(closedError());
  }

  /** The file is open: replicates from now on. */
  start(): void {
    if (this.#stop.signal.aborted) return;
    this.#looker = setInterval(() => this.#look(), Math.max(250, this.#settings.syncInterval));
    this.#looker.unref();
    this.#run = this.#supervise();
  }

  stats(): ReplicationStats {
    const now = Date.now();
    const knows = this.#state !== 'standby' && this.#state !== 'stopped';
    return {
      state: this.#state,
      url: shownUrl(this.#settings.url),
      version: this.#binary?.version ?? '',
      pid: this.#child?.pid,
      lagMs: knows ? this.#lag.ms(this.#owner.writtenAt(), now) : undefined,
      ...this.#counts,
      restoredBytes: this.#restoredBytes,
      lastError: this.#lastError,
    };
  }

  /**
   * Ends it after a last sync: everything that was written before is away then.
   *
   * @throws PoolError POOL_REPLICA where that fails, or takes longer than `stopTimeout`
   */
  async close(): Promise<void> {
    const hasWork = this.#child !== undefined || this.#state === 'waiting';
    clearInterval(this.#looker);
    this.#stop.abort(closedError());
    const failure = hasWork ? await this.#sendRest() : undefined;
    await this.#run;
    this.#lock.release();
    this.#change('stopped');
    if (failure !== undefined) throw failure;
  }

  /** The pool could not be opened, or has failed: nothing is waited for. */
  giveUp(): void {
    this.close().catch((error: Error) => this.#failed(error.message));
  }

  /**
   * A last sync. It is tried again where it fails: at its end Litestream 0.3 may send the same part
   * twice at once, and fails of it.
   */
  async #sendRest(): Promise<PoolError | undefined> {
    const { stopTimeout } = this.#settings;
    this.#change('stopping');
    const until = performance.now() + stopTimeout;
    let why = '';
    for (let tries = 0; tries < LAST_TRIES; tries++) {
      const ended = await this.#finish(this.#child ?? this.#spawn(), until);
      if (ended.code === 0) return undefined;
      why = describeEnd(ended);
      if (performance.now() < until) continue;
      why = `it took longer than stopTimeout, ${stopTimeout} ms`;
      break;
    }
    const url = shownUrl(this.#settings.url);
    const message = `the last writes to ${this.#file} may not have reached ${url}: ${why}`;
    return new PoolError('POOL_REPLICA', message);
  }

  async #finish(child: LitestreamChild, until: number): Promise<Ended> {
    const timer = setTimeout(() => child.kill(), Math.max(0, until - performance.now()));
    child.reference();
    // Before that it would end without a last sync.
    while (this.#child === child && !this.#hasBegun()) await sleep(25);
    child.finish();
    return child.ended.finally(() => clearTimeout(timer));
  }

  /**
   * Whether the child has made itself at home in the database, which it does when it first looks
   * there. What it sends tells so; where it has nothing to send, time must.
   */
  #hasBegun(): boolean {
    const interval = Math.min(1000, this.#settings.syncInterval);
    return this.#hasSent || performance.now() - this.#readyAt > 2 * interval + 500;
  }

  async #restore(binary: Binary): Promise<void> {
    if (existsSync(this.#file)) return;
    this.#change('restoring');
    const { signal } = this.#stop;
    const restored = await restoreFrom(binary, {
      replica: this.#settings,
      file: this.#file,
      signal,
    });
    this.#restoredBytes = restored?.bytes;
    this.#change('starting');
  }

  async #supervise(): Promise<void> {
    let backoff = FIRST_BACKOFF;
    try {
      while (!(await this.#takeLock())) {
        this.#change('standby');
        await this.#pause(STANDBY);
      }
      while (!this.#stop.signal.aborted) {
        const began = performance.now();
        this.#change('starting');
        const ended = await this.#spawn().ended;
        if (this.#stop.signal.aborted) return;
        this.#failed(`litestream ended with ${describeEnd(ended)}`);
        if (performance.now() - began > WELL) backoff = FIRST_BACKOFF;
        this.#change('waiting');
        await this.#pause(backoff);
        backoff = Math.min(LONGEST_BACKOFF, backoff * 2);
        this.#counts.restarts++;
      }
    } catch (error) {
      if (this.#stop.signal.aborted) return;
      // The lock cannot be taken: nothing else here throws.
      this.#failed(error instanceof Error ? error.message : String(error));
      this.#change('stopped');
    }
  }

  #spawn(): LitestreamChild {
    const { path, dialect } = this.#binary as Binary;
    this.#hasSent = false;
    this.#readyAt = Number.POSITIVE_INFINITY;
    const child = new LitestreamChild({
      binary: path,
      command: 'replicate',
      config: replicateConfig(dialect, this.#file, this.#settings, GUARD),
      env: this.#settings.env,
      heard: (event) => this.#heard(event),
    });
    this.#child = child;
    this.#lock.note(child.pid);
    void child.ended.then(() => {
      this.#child = undefined;
      this.#lock.note(undefined);
      this.#lag.stopped();
    });
    return child;
  }

  #heard(event: LogEvent): void {
    if (event.type === 'ready') {
      this.#readyAt = performance.now();
      this.#lag.started(Date.now());
      if (!this.#stop.signal.aborted) this.#change('running');
      return;
    }
    this.#lag.heard(event);
    if (event.type === 'sending') this.#hasSent = true;
    // What it says while it ends counts only if it fails of it.
    if (event.type === 'error' && !this.#stop.signal.aborted) this.#failed(event.message);
  }

  /** Takes the lock, and waits until the child of a process that died is gone. */
  async #takeLock(): Promise<boolean> {
    if (!this.#lock.take()) return false;
    const { child } = this.#lock;
    if (child === undefined) return true;
    const since = performance.now();
    while (isLitestream(child)) {
      if (performance.now() - since > LAST_SYNC) process.kill(child, 'SIGKILL');
      await this.#pause(50);
    }
    this.#lock.note(undefined);
    return true;
  }

  #look(): void {
    this.#lag.look(this.#owner.writtenAt(), Date.now());
  }

  async #pause(ms: number): Promise<void> {
    await sleep(ms, undefined, { signal: this.#stop.signal, ref: false });
  }

  #failed(message: string): void {
    this.#counts.errors++;
    this.#lastError = message;
    this.#tell(message);
  }

  #change(state: ReplicationState): void {
    if (state === this.#state) return;
    this.#state = state;
    this.#tell(undefined);
  }

  #tell(error: string | undefined): void {
    const { url } = this.#settings;
    this.#owner.changed({ file: this.#file, url: shownUrl(url), state: this.#state, error });
  }
}
