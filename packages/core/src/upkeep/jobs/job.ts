import { rm } from 'node:fs/promises';
import { PoolError } from '../../errors.js';
import type { ConnectionOptions } from '../../threads/connection.js';
import { type JobAnswer, JobState, JobWord, startJob } from '../../threads/job.js';
import { useFile } from '../../threads/one-engine.js';
import { jobError } from './error.js';
import type { AnyJob, JobNote } from './messages.js';

/**
 * How long, in ms, a job that was given up may take to clear up after itself. It cannot while
 * SQLite checks a large file, since nothing interrupts that; then it is cleared up from here.
 */
const GRACE = 300;

export interface JobOptions {
  signal?: AbortSignal | undefined;
  /** What the job tells before it is done. What it throws, at once or later, ends the job. */
  note?: ((note: JobNote, send: (message: unknown) => void) => unknown) | undefined;
}

/** One job on a thread of its own, seen from the calling thread. */
export class Job<Result> {
  readonly kind: AnyJob['kind'];
  readonly result: Promise<Result>;
  readonly #worker;
  readonly #control = new Int32Array(new SharedArrayBuffer(4 * JobWord.words));
  readonly #signal: AbortSignal | undefined;
  #scratch: string | undefined;
  #reason: (() => unknown) | undefined;
  #timer: NodeJS.Timeout | undefined;
  #settle: { resolve(result: Result): void; reject(error: unknown): void } | undefined;

  constructor(job: AnyJob, connection: ConnectionOptions, { signal, note }: JobOptions = {}) {
    const control = this.#control;
    const unused = useFile(connection.file, connection.driver);
    this.kind = job.kind;
    this.#signal = signal;
    this.result = new Promise<Result>((resolve, reject) => {
      this.#settle = { resolve, reject };
    });
    // Whoever asked for it hears of a failure; who stops it at closing only waits for its end.
    this.result.catch(() => {});
    const worker = startJob({ job, control, connection });
    worker.on('exit', unused);
    this.#worker = worker;
    worker.on('message', (answer: JobAnswer<JobNote, Result>) => {
      if (answer.type === 'done') return this.#end(() => this.#settle?.resolve(answer.result));
      if (answer.type === 'failed') {
        const error = this.#reason?.() ?? jobError(answer.failure, connection.driver);
        return this.#end(() => this.#settle?.reject(error));
      }
      if (answer.note.type === 'scratch') this.#scratch = answer.note.path;
      if (this.#reason !== undefined) return;
      const listen = async () => note?.(answer.note, (message) => worker.postMessage(message));
      listen().catch((error) => this.abort(() => error));
    });
    worker.on('error', (error) => this.#lost(error));
    worker.on('exit', (code) => this.#lost(new Error(`the thread exited with code ${code}`)));
    signal?.addEventListener('abort', this.#onAbort, { once: true });
  }

  readonly #onAbort = () => {
    const { reason } = this.#signal as AbortSignal;
    this.abort(() => new PoolError('POOL_ABORTED', 'given up by its signal', { cause: reason }));
  };

  /** Gives the job up, unless it is past the point where it can be. */
  abort(reason: () => unknown): void {
    if (this.#settle === undefined || this.#reason !== undefined) return;
    const { running, aborted } = JobState;
    const control = this.#control;
    const found = Atomics.compareExchange(control, JobWord.state, running, aborted);
    if (found !== running) return;
    Atomics.notify(control, JobWord.state);
    this.#worker.postMessage('given up');
    this.#reason = reason;
    this.#timer = setTimeout(() => void this.#clearUp(reason()), GRACE);
  }

  #lost(cause: unknown): void {
    if (this.#settle === undefined) return;
    const message = 'the thread of a backup or restore died; nothing was put in place';
    void this.#clearUp(new PoolError('POOL_THREAD_LOST', message, { cause }));
  }

  /** Removes what the thread cannot remove now, or never will. */
  async #clearUp(reason: unknown): Promise<void> {
    clearTimeout(this.#timer);
    let error = reason;
    if (this.#scratch !== undefined) {
      await rm(this.#scratch, { recursive: true, force: true, maxRetries: 5 }).catch((cause) => {
        error = new PoolError('POOL_BACKUP', `${this.#scratch} could not be removed`, { cause });
      });
    }
    this.#end(() => this.#settle?.reject(error));
  }

  #end(settle: () => void): void {
    clearTimeout(this.#timer);
    this.#signal?.removeEventListener('abort', this.#onAbort);
    settle();
    this.#settle = undefined;
    // It ends by itself; a check that nothing interrupts is nobody's reason to stay.
    this.#worker.unref();
  }
}
