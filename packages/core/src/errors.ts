/**
 * The stable codes of the errors that the pool itself raises. SQLite's own errors keep the class
 * and codes that better-sqlite3 gives them (`SqliteError`, `SQLITE_BUSY`, …); under the driver
 * `'node:sqlite'` they have the codes, and the class `SqliteError` of this package.
 */
export type PoolErrorCode =
  /** The pool was closed, or is closing: nothing was started. */
  | 'POOL_CLOSED'
  /** A limit in time ran out: `timeout`, `acquireTimeout`, `transactionTimeout`. */
  | 'POOL_TIMEOUT'
  /** The caller's `signal` was aborted before the statement had an effect. */
  | 'POOL_ABORTED'
  /** The caller waits for a writer that it holds itself. */
  | 'POOL_DEADLOCK'
  /** The thread that ran the statement died, or the process that writes; it had no lasting effect. */
  | 'POOL_THREAD_LOST'
  /** The pool was used in a way that cannot work; the message says how to do it. */
  | 'POOL_MISUSE'
  /** An option is unknown, of the wrong type, or contradicts another. */
  | 'POOL_OPTIONS'
  /** A backup or a restore failed, and left nothing behind; `cause` is what SQLite or the file system said. */
  | 'POOL_BACKUP'
  /** A file cannot be replaced, since somebody has it open; or another process writes it already. */
  | 'POOL_IN_USE'
  /**
   * Another machine committed first, and the write could not be run again by the pool, or was beaten too often:
   * nothing of it is stored. Only with the option `store`.
   */
  | 'POOL_CONFLICT'
  /** A store cannot be used, or holds what it must not: the message tells what and where. Nothing was stored. */
  | 'POOL_STORE'
  /** Replication, or a restore from a replica, failed: the message tells what Litestream said. */
  | 'POOL_REPLICA'
  /**
   * A write was under way when its caller, its thread or the process that writes left, or the disk
   * failed at the last step of its commit: it may or may not be stored.
   */
  | 'POOL_OUTCOME_UNKNOWN';

const RETRYABLE: ReadonlySet<PoolErrorCode> = new Set([
  'POOL_TIMEOUT',
  'POOL_THREAD_LOST',
  'POOL_CONFLICT',
]);

/** Marks a PoolError of any copy of this package, so that `PoolError.is` works across realms. */
const BRAND = Symbol.for('poolite.PoolError');

/**
 * An error that the pool raises.
 *
 * @example
 * ```ts
 * import { PoolError } from '@poolite/core';
 *
 * const error: unknown = new PoolError('POOL_TIMEOUT', 'too late');
 * if (PoolError.is(error) && error.retryable) console.log('try again:', error.code);
 * ```
 */
export class PoolError extends Error {
  /** What happened, in a form that programs may compare. */
  readonly code: PoolErrorCode;
  /**
   * Whether the same call may succeed when it is made again, without the risk of doing its work
   * twice: true for POOL_TIMEOUT, POOL_THREAD_LOST and POOL_CONFLICT, false otherwise.
   */
  readonly retryable: boolean;

  constructor(
    code: PoolErrorCode,
    message: string,
    options: { cause?: unknown; retryable?: boolean } = {},
  ) {
    super(message, 'cause' in options ? { cause: options.cause } : undefined);
    this.code = code;
    this.retryable = options.retryable ?? RETRYABLE.has(code);
  }

  /** Whether `value` is a PoolError, also one made by another copy of this package. */
  static is(value: unknown): value is PoolError {
    return typeof value === 'object' && value !== null && BRAND in value;
  }
}

Object.defineProperty(PoolError.prototype, 'name', { value: 'PoolError', configurable: true });
Object.defineProperty(PoolError.prototype, BRAND, { value: true });

/** SQL as messages show it: on one line, at most 200 characters. */
export function shorten(sql: string): string {
  const line = sql.slice(0, 400).replace(/\s+/g, ' ').trim();
  return line.length > 200 || sql.length > 400 ? `${line.slice(0, 200)}…` : line;
}
