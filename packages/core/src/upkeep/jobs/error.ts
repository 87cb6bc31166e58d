import { PoolError, type PoolErrorCode } from '../../errors.js';
import { errorOf } from '../../threads/failure.js';
import { type JobFailure, JobState, JobWord } from '../../threads/job.js';
import { failureOf } from '../../threads/rows.js';

/** What ends a job whose caller has given it up. */
export class Aborted extends Error {}

export function throwIfAborted(control: Int32Array): void {
  if (Atomics.load(control, JobWord.state) === JobState.aborted) throw new Aborted('given up');
}

/** Sleeps on the thread of a job, until it is given up. */
export function rest(control: Int32Array, ms: number): void {
  if (ms > 0) Atomics.wait(control, JobWord.state, JobState.running, ms);
  throwIfAborted(control);
}

/** What the codes of a full or closed disk mean, with the way out. */
function reasonOf(code: string | undefined): string | undefined {
  switch (code) {
    case 'ENOSPC':
    case 'EDQUOT':
    case 'SQLITE_FULL':
      return 'the disk is full: make room, or choose another folder';
    case 'EACCES':
    case 'EPERM':
    case 'EROFS':
    case 'SQLITE_READONLY':
      return 'the folder cannot be written: allow it to this user, or choose another';
    case 'ENOENT':
      return 'a file or folder is not there';
    default:
      return undefined;
  }
}

/** Runs a step of a job: what it throws is told as what the job could not do, with the reason. */
export async function step<T>(what: string, work: () => T | Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof Aborted || PoolError.is(error)) throw error;
    const code = (error as { code?: string } | null)?.code;
    const message = error instanceof Error ? error.message : String(error);
    const reason = reasonOf(code);
    throw new PoolError(
      'POOL_BACKUP',
      `${what}: ${reason === undefined ? message : `${reason} (${message})`}`,
      { cause: error },
    );
  }
}

/** An error as it crosses from the thread of a job. */
export function jobFailure(error: unknown): JobFailure {
  if (error instanceof Aborted) {
    return { code: 'POOL_ABORTED', message: error.message, cause: undefined };
  }
  const { cause } = error as { cause?: unknown };
  const shown = PoolError.is(error) ? cause : error;
  return {
    code: PoolError.is(error) ? error.code : 'POOL_BACKUP',
    message: error instanceof Error ? error.message : String(error),
    cause:
      shown === undefined
        ? undefined
        : { ...failureOf(shown), stack: shown instanceof Error ? shown.stack : undefined },
  };
}

/** The error that it was, on the calling thread. */
export function jobError({ code, message, cause }: JobFailure, driver: string): PoolError {
  if (cause === undefined) return new PoolError(code as PoolErrorCode, message);
  const error = errorOf(cause, driver);
  if (cause.stack !== undefined) error.stack = cause.stack;
  return new PoolError(code as PoolErrorCode, message, { cause: error });
}

export function refuseAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted !== true) return;
  throw new PoolError('POOL_ABORTED', 'given up by its signal', { cause: signal.reason });
}

/** Runs what a thread will answer: its error has the lines of whoever called `below`. */
export async function withCaller<T>(
  below: (...args: never[]) => unknown,
  work: () => Promise<T>,
): Promise<T> {
  const caller = { stack: '' };
  Error.captureStackTrace(caller, below);
  try {
    return await work();
  } catch (error) {
    const lines = caller.stack.slice(caller.stack.indexOf('\n'));
    if (error instanceof Error && error.stack?.includes(lines) === false) error.stack += lines;
    throw error;
  }
}
