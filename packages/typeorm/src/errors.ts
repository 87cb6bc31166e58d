import { PoolError } from '@poolite/core';

/** The pool's errors in the words of TypeORM; every other error as it is. */
export function inTypeOrmsWords(error: unknown): unknown {
  if (!PoolError.is(error)) return error;
  switch (error.code) {
    case 'POOL_DEADLOCK':
      return new PoolError(
        'POOL_DEADLOCK',
        'this code runs inside a transaction of the same database, and would wait for that ' +
          'transaction to end: use the EntityManager that the transaction passed to its callback ' +
          '(manager.getRepository(…), event.manager, queryRunner.manager), not the one of the ' +
          'data source or of an injected repository',
        { cause: error },
      );
    case 'POOL_CLOSED':
      return notOpen(error);
    default:
      return error;
  }
}

/** As better-sqlite3 says it, which applications may look for. */
export function notOpen(cause?: unknown): PoolError {
  return new PoolError(
    'POOL_CLOSED',
    'The database connection is not open: the data source was destroyed, or never initialized',
    cause === undefined ? {} : { cause },
  );
}

export function refuse(message: string): never {
  throw new PoolError('POOL_OPTIONS', message);
}
