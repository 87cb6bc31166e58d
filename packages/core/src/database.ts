import { CallLimits } from './call-limits.js';
import { Deadlines } from './deadlines.js';
import { PoolError } from './errors.js';
import { join } from './joining.js';
import { channels } from './observing/channels.js';
import { EventHub } from './observing/events.js';
import { Latency } from './observing/stats.js';
import { openError } from './open-error.js';
import type { ResolvedOptions } from './options.js';
import { InlineReader } from './reading/inline.js';
import { Readers } from './reading/readers.js';
import { newReplication } from './replicating.js';
import type { Membership } from './sharing/membership.js';
import { Catalogue, type Statement } from './statements/catalogue.js';
import { type BoundParams, checkParams, ownedParams } from './statements/params.js';
import type { Replica } from './store.js';
import { newReplica } from './storing.js';
import type { IterateOptions } from './surface.js';
import { isMemory, loadSetup } from './threads/connection.js';
import { lostError } from './threads/failure.js';
import type { OpenedInfo, Role } from './threads/protocol.js';
import { failureOf } from './threads/rows.js';
import type { Backups } from './upkeep/backups/backups.js';
import { Anchor } from './upkeep/checkpoints/anchor.js';
import type { Checkpoints } from './upkeep/checkpoints/checkpoints.js';
import type { Replication } from './upkeep/litestream/replicate.js';
import { WalFiles } from './wal-files.js';
import { Changes } from './writing/changes.js';
import type { Turn } from './writing/turn.js';
import { Writer } from './writing/writer.js';

type State = 'opening' | 'open' | 'closing' | 'closed' | 'failed';

/** How often each thread may die without one of them opening the file, until the pool gives up. */
const MOST_LOST = 3;

/** One open database file: its threads, and what all handles of it share. */
export class Database {
  readonly options: ResolvedOptions;
  readonly isMemory: boolean;
  readonly catalogue = new Catalogue((statement) => this.#forget(statement));
  readonly events = new EventHub();
  readonly deadlines = new Deadlines();
  /** The limits that a call's own options, and the pool's, set it. */
  readonly limits: CallLimits;
  readonly writer: Writer;
  /** Undefined for a database in memory: its only connection is the writer's. */
  readonly readers: Readers | undefined;
  /** The calling thread's own connection, once it is open. */
  inline: InlineReader | undefined;
  /** What keeps the WAL small, where the pool does that. */
  checkpoints: Checkpoints | undefined;
  readonly wal: WalFiles;
  /** Backups; there as soon as it is made. */
  backups: Backups | undefined;
  /** Checkpoints by hand that are not answered. */
  checkpointsAsked = 0;
  /** Keeps SQLite from checkpointing at the end, where the pool must not. */
  anchor: Anchor | undefined;
  /** Who wants to know what commits change. */
  readonly changes: Changes;
  /** This process among those that share the writer; undefined where it has one of its own. */
  readonly membership: Membership | undefined;
  /** Litestream beside the pool. */
  readonly replication: Replication | undefined;
  /** This machine's replica of a database that many write. */
  readonly replica: Replica | undefined;
  /** Where it failed: resolves when the replica is another's to open. */
  released: Promise<void> | undefined;
  readonly latency = { inline: new Latency(), read: new Latency(), write: new Latency() };
  readonly counts = { busyRetries: 0, threadsLost: 0, threadsRetired: 0, rerouted: 0, writes: 0 };
  readonly ready: Promise<void>;
  state: State = 'opening';
  /** Why every call is refused, where it is. */
  refusal: Error | undefined;
  /** Called when something has ended: who closes waits for all to end. */
  onEnded: (() => void) | undefined;
  /** Called when the file was lost: who holds a connection must hear of it. */
  onFailed: ((error: Error) => void) | undefined;
  /** Called when one-shot writes are answered, or wait behind a turn. */
  onWritesSettled: (() => void) | undefined;
  /** Called when it is closed, or lost. */
  onClosed: (() => void) | undefined;
  readonly #setReady: (outcome: Promise<void> | undefined) => void;
  #readersToOpen = 0;
  /** Threads that died since the last one opened the file. */
  #lostInARow = 0;

  constructor(options: ResolvedOptions) {
    this.options = options;
    this.limits = new CallLimits(this.deadlines, options.statementTimeout);
    this.isMemory = isMemory(options.file);
    this.wal = new WalFiles(options.connection.file);
    let setReady: (outcome: Promise<void> | undefined) => void = () => {};
    this.ready = new Promise((resolve) => {
      setReady = resolve as typeof setReady;
    });
    this.#setReady = setReady;
    this.ready.catch(() => {}); // Whoever calls ready() or a statement hears of it; nobody has to.
    this.replication = newReplication(this);
    this.replica = newReplica(this);
    const prepared = this.replication?.prepare() ?? this.replica?.prepare();
    prepared?.catch((error) => this.fail(error));
    this.readers = this.isMemory ? undefined : this.#newReaders();
    const { start, membership } = join(this, prepared);
    this.membership = membership;
    this.writer = new Writer(
      start,
      {
        opened: (info) => this.#writerOpened(info),
        failed: (failure) => this.fail(openError(failure, options)),
        lost: (cause, wasRemote) => {
          this.changes.lost();
          if (wasRemote) this.catalogue.unknownTo(0);
          else this.#lost('writer', 0, cause);
        },
        busyRetries: (retries) => this.#busy(retries),
        changed: (text) => this.changes.changed(text),
        committed: (units, microseconds, waited) => this.#committed(units, microseconds, waited),
        writesSettled: () => this.onWritesSettled?.(),
        timeoutError: (holder, waited) => this.#acquireError(holder, waited),
        ended: () => this.#written(),
      },
      this.deadlines,
      options,
    );
    const interval = this.isMemory ? 0 : options.changes.interval;
    this.changes = new Changes((command) => this.writer.aside(command), interval);
  }

  #newReaders(): Readers {
    const { readers, connection } = this.options;
    this.#readersToOpen = readers;
    return new Readers(readers, connection, {
      ready: () => this.#readerOpened(),
      failed: (failure) => this.fail(openError(failure, this.options)),
      lost: (cause, place) => this.#lost('reader', place, cause),
      retired: (place) => {
        this.counts.threadsRetired++;
        this.catalogue.unknownTo(place);
      },
      lostError: (cause) => lostError(cause, false),
      ended: () => this.ended(),
    });
  }

  /** Something has ended: who closes waits for all to end, and who empties the WAL for some. */
  ended(): void {
    this.onEnded?.();
    this.checkpoints?.stirred();
  }

  #written(): void {
    this.onEnded?.();
    if (!this.writer.thread.isRemote) this.checkpoints?.written(this.writer.now);
  }

  /** The statement of a text, and its values: checked, and safe from what the caller does next. */
  bound(sql: string, params: unknown): { statement: Statement; bound: BoundParams } {
    const statement = this.statement(sql);
    const bound = ownedParams(checkParams(sql, params, statement.classification));
    return { statement, bound };
  }

  statement(sql: string): Statement {
    if (typeof sql !== 'string') {
      throw new PoolError('POOL_MISUSE', `a statement must be a string, not ${typeof sql}`);
    }
    return this.catalogue.get(sql);
  }

  checkScript(script: unknown): void {
    if (typeof script !== 'string') {
      throw new PoolError('POOL_MISUSE', `a script must be a string, not ${typeof script}`);
    }
  }

  chunkSize(options: IterateOptions): number {
    const { chunkSize = 256 } = options;
    if (!Number.isInteger(chunkSize) || chunkSize < 1 || chunkSize > 65_536) {
      throw new PoolError(
        'POOL_OPTIONS',
        `option 'chunkSize' must be a whole number from 1 to 65536, not ${String(chunkSize)}`,
      );
    }
    return chunkSize;
  }

  /** Why a call is refused now; undefined where it is not. */
  get refused(): Error | undefined {
    return this.refusal;
  }

  /** The file cannot be opened, or was lost: everything is refused from now on. */
  fail(error: Error): void {
    if (this.state === 'closed' || this.state === 'failed') return;
    this.state = 'failed';
    this.refusal = error;
    const rejected = Promise.reject(error);
    // Where the pool was open before, nobody hears of it here.
    rejected.catch(() => {});
    this.#setReady(rejected);
    this.onFailed?.(error);
    this.backups?.stop(error);
    this.rejectAll(error);
    this.replica?.stop(true);
    const terminated = this.terminate();
    if (this.replica !== undefined) this.released = terminated;
    this.onClosed?.();
    this.replication?.giveUp();
    this.ended();
  }

  rejectAll(error: Error): void {
    this.writer.rejectQueued(error);
    this.writer.groups.rejectSent(error);
    this.readers?.rejectAll(error);
    this.onWritesSettled?.();
  }

  async terminate(): Promise<void> {
    this.changes.close();
    this.writer.close();
    this.inline?.close();
    this.inline = undefined;
    await Promise.all([
      this.writer.thread.terminate(),
      this.readers?.terminate(),
      this.checkpoints?.terminate(
        this.refusal ?? new PoolError('POOL_CLOSED', 'the pool is closed'),
      ),
    ]);
    this.anchor?.close();
    await this.replica?.close();
    this.membership?.close();
    this.deadlines.close();
  }

  #writerOpened({ attached }: OpenedInfo): void {
    this.wal.attached = attached;
    this.#lostInARow = 0;
    this.changes.opened(this.writer.thread);
    if (this.readers === undefined) return this.#opened();
    if (this.state === 'opening') this.readers.open();
  }

  #readerOpened(): void {
    this.#lostInARow = 0;
    if (this.state === 'opening' && --this.#readersToOpen === 0) void this.#openInline();
  }

  async #openInline(): Promise<void> {
    const { connection, inlineReads, checkpoint } = this.options;
    const anchored = checkpoint === 'hands-off' && !connection.readonly;
    if (inlineReads === 'off' && !anchored) return this.#opened();
    try {
      const setup = await loadSetup(connection.setup);
      if (this.state !== 'opening') return;
      if (anchored) this.anchor = new Anchor(connection, setup);
      if (inlineReads === 'auto') this.inline = new InlineReader(connection, setup);
      this.#opened();
    } catch (error) {
      this.fail(openError(failureOf(error), this.options));
    }
  }

  #opened(): void {
    if (this.state !== 'opening') return;
    this.state = 'open';
    this.replication?.start();
    this.replica?.start();
    this.#setReady(undefined);
    this.events.emit('ready', () => []);
  }

  #forget(statement: Statement): void {
    this.writer.thread.forget(statement);
    for (const thread of this.readers?.threads ?? []) thread.forget(statement);
    statement.known = 0;
    statement.inline = undefined;
  }

  #lost(role: 'reader' | 'writer', place: number, cause: unknown): void {
    this.catalogue.unknownTo(place);
    this.tellLost(role, cause);
    if (++this.#lostInARow > MOST_LOST * (this.options.readers + 1)) this.#giveUp(cause);
  }

  tellLost(role: Role, cause: unknown): void {
    this.counts.threadsLost++;
    this.events.emit('threadLost', () => [{ role, cause }]);
    if (channels.threadLost.hasSubscribers) {
      channels.threadLost.publish({ file: this.options.file, role, cause });
    }
  }

  #giveUp(cause: unknown): void {
    const { file } = this.options.connection;
    const why = cause instanceof Error ? cause.message : String(cause);
    this.fail(
      new PoolError(
        'POOL_THREAD_LOST',
        `cannot open ${JSON.stringify(file)}: its threads die before they have opened it (${why})`,
        { cause, retryable: false },
      ),
    );
  }

  #busy(retries: number): void {
    this.counts.busyRetries += retries;
    this.events.emit('busy', () => [{ retries }]);
    if (channels.busy.hasSubscribers) {
      channels.busy.publish({ file: this.options.file, retries });
    }
  }

  #committed(units: number, microseconds: number, waited: number): void {
    this.counts.writes += units;
    this.latency.write.record(waited);
    if (channels.group.hasSubscribers) {
      channels.group.publish({ file: this.options.file, writes: units, microseconds });
    }
  }

  #acquireError(holder: Turn | undefined, waited: number): PoolError {
    const ms = Math.round(waited);
    if (holder === undefined) {
      return new PoolError('POOL_TIMEOUT', `waited ${ms} ms (acquireTimeout) for the writer`);
    }
    const held = Math.round(performance.now() - holder.since);
    return new PoolError(
      'POOL_TIMEOUT',
      `waited ${ms} ms (acquireTimeout) for the writer, which a ${holder.request.kind} has held for ` +
        `${held} ms; the cause of this error tells where it was opened`,
      { cause: holder.request.opener?.() },
    );
  }
}
