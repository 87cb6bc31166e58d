import { PoolError } from '../../errors.js';
import { Job } from '../jobs/job.js';
import type { ScheduledJob, ScheduledOutcome } from '../jobs/messages.js';
import type { BackupRequest, Backups, BackupsOwner } from './backups.js';
import type { BackupResult, ResolvedBackups } from './options.js';

/** How soon, in ms, it is looked again after another process was at it, or one failed; then it doubles. */
const SOON = 60_000;

/** One look whether a backup is due, and the backup where it is. */
interface Run {
  readonly job: Job<ScheduledOutcome>;
  /** Whether somebody asked for it. */
  asked: boolean;
  /** The path of the backup, once it has begun; otherwise why it has not: 'locked' or 'notDue'. */
  readonly begun: Promise<string>;
  /** The backup. */
  readonly done: Promise<BackupResult>;
}

/** Backups by schedule: the newest one in the folder tells when the next is due, whoever made it. */
export class Schedule {
  readonly #settings: ResolvedBackups;
  readonly #backups: Backups;
  readonly #owner: BackupsOwner;
  /** Found locked by another process when one was due. */
  skipped = 0;
  removed = 0;
  /** When it is looked next, in ms since 1970; 0 where it is not. */
  nextAt = 0;
  onError: ((error: Error) => void) | undefined;
  #timer: NodeJS.Timeout | undefined;
  #run: Run | undefined;
  #failures = 0;
  /** How many wait for backups to be sent that they asked for. */
  #askedSendings = 0;
  #stopped = false;

  constructor(settings: ResolvedBackups, backups: Backups, owner: BackupsOwner) {
    this.#settings = settings;
    this.#backups = backups;
    this.#owner = owner;
    this.onError = settings.onError;
    owner.ready.then(
      () => void this.#look(),
      // A file that cannot be opened has no backups; ready() tells why.
      () => {},
    );
  }

  /** Begins a backup, unless one is under way. */
  async request(): Promise<BackupRequest> {
    while (this.#run !== undefined) {
      const { begun, done } = this.#run;
      const path = await begun.catch(() => 'notDue');
      if (path === 'locked')
        return { started: false, reason: 'another process', path: undefined, done: undefined };
      // Where it has not begun, it has ended: there is room for one that was asked for.
      if (path !== 'notDue') return { started: false, reason: 'running', path, done };
    }
    if (this.#stopped) throw new PoolError('POOL_CLOSED', 'the pool is closed, or closing');
    const { begun, done } = this.#start(0, true);
    const path = await begun;
    if (path === 'locked')
      return { started: false, reason: 'another process', path: undefined, done: undefined };
    return { started: true, reason: undefined, path, done };
  }

  /** Looks no more; what nobody asked for is given up. */
  stop(error: Error): void {
    this.#stopped = true;
    clearTimeout(this.#timer);
    this.nextAt = 0;
    if (this.#run?.asked === false) this.#run.job.abort(() => error);
    if (this.#run?.asked === true || this.#askedSendings > 0) return;
    this.#backups.shipping?.stop(error);
  }

  #arm(ms: number): void {
    clearTimeout(this.#timer);
    if (this.#stopped) return;
    this.nextAt = Date.now() + ms;
    this.#timer = setTimeout(() => void this.#look(), ms);
    this.#timer.unref();
  }

  async #look(): Promise<void> {
    if (this.#stopped) return;
    // One that was asked for sets the timer anew when it has ended.
    if (this.#run !== undefined) return;
    await this.#start(this.#settings.every, false).done.catch(() => {});
  }

  #start(every: number, asked: boolean): Run {
    const { directory, keep, verify, compress, pace } = this.#settings;
    const job: ScheduledJob = {
      kind: 'scheduled',
      directory,
      every,
      keep,
      verify,
      compress,
      pace,
    };
    let begin: (path: string) => void = () => {};
    const begun = new Promise<string>((resolve) => {
      begin = resolve;
    });
    const running = new Job<ScheduledOutcome>(job, this.#owner.connection, {
      note: this.#backups.noting((note) => {
        if (note.type === 'started') begin(note.path);
      }, 'a backup by schedule'),
    });
    const work = async () => {
      const found = await this.#made(running);
      if (found.type !== 'made') begin(found.type);
      // What could not be sent before is sent when none is due, too.
      if (found.type !== 'locked') await this.#ship(asked);
      return found;
    };
    const outcome = asked ? this.#backups.ask(work) : work();
    const done = this.#settle(outcome, running);
    // They reach onError and the event; whoever asked may listen too.
    done.catch(() => {});
    this.#run = { job: running, asked, begun: Promise.race([begun, done.then(() => begun)]), done };
    this.#run.begun.catch(() => {});
    return this.#run;
  }

  /** What came of a job; from then on another may begin, also while this backup is being sent. */
  async #made(job: Job<ScheduledOutcome>): Promise<ScheduledOutcome> {
    const { every } = this.#settings;
    let found: ScheduledOutcome;
    try {
      found = await this.#backups.run(job);
    } catch (error) {
      this.#end(this.#soon());
      throw error;
    }
    if (found.type === 'made') {
      this.#failures = 0;
      this.removed += found.removed.length;
      this.#end(every);
      this.#tell(found);
      return found;
    }
    if (found.type === 'locked') this.skipped++;
    const wait = found.type === 'locked' ? SOON : found.newest + every - Date.now();
    this.#end(Math.min(every, Math.max(1000, wait)));
    return found;
  }

  /** Sends what is missing at the destination; what fails is tried again before the next is due. */
  async #ship(asked: boolean): Promise<void> {
    if (this.#backups.shipping === undefined) return;
    if (asked) this.#askedSendings++;
    try {
      await this.#backups.ship();
      this.#failures = 0;
    } catch (error) {
      this.#arm(Math.min(this.#soon(), Math.max(0, this.nextAt - Date.now())));
      throw error;
    } finally {
      if (asked) this.#askedSendings--;
    }
  }

  async #settle(
    outcome: Promise<ScheduledOutcome>,
    job: Job<ScheduledOutcome>,
  ): Promise<BackupResult> {
    let found: ScheduledOutcome;
    try {
      found = await outcome;
    } catch (error) {
      // The pool was closed before anybody waited for the job.
      job.abort(() => error);
      if (this.#run?.job === job) this.#end(this.#soon());
      if (!this.#stopped) this.#fail(error as Error);
      throw error;
    }
    if (found.type === 'made') return found.result;
    throw new PoolError('POOL_BACKUP', 'no backup was begun: one is under way, or none is due');
  }

  /** How long after a failure it is tried again, in ms. */
  #soon(): number {
    return Math.min(this.#settings.every, SOON * 2 ** Math.min(this.#failures++, 20));
  }

  #end(next: number): void {
    this.#run = undefined;
    this.#arm(next);
  }

  #tell({ result, unremoved }: Extract<ScheduledOutcome, { type: 'made' }>): void {
    this.#backups.note(result, true);
    const { path, verdict, problems } = result;
    const first = problems.slice(0, 3).join('; ');
    if (verdict === 'foreign-keys') {
      this.#fail(new PoolError('POOL_BACKUP', `the backup ${path} was made, but ${first}`));
    }
    if (unremoved.length === 0) return;
    const all = unremoved.join('; ');
    this.#fail(new PoolError('POOL_BACKUP', `old backups could not be removed: ${all}`));
  }

  #fail(error: Error): void {
    this.#owner.failed(error);
    const { onError } = this;
    // What it throws is an uncaught exception, and disturbs nothing here.
    if (onError !== undefined) process.nextTick(() => onError(error));
  }
}
