import type { Database } from './database.js';
import { PoolError, shorten } from './errors.js';
import type { BatchStatement } from './surface.js';
import { Method } from './threads/protocol.js';
import type { UnitStatement } from './writing/unit.js';

/** Checks the statements of a batch, each of which must be able to run in its transaction. */
export function checkBatch(database: Database, statements: unknown): UnitStatement[] {
  if (!Array.isArray(statements)) {
    throw new PoolError('POOL_MISUSE', 'batch needs an array of { sql, params }');
  }
  return statements.map((each: unknown, index) => {
    try {
      return checkStatement(database, each);
    } catch (error) {
      if (!PoolError.is(error)) throw error;
      error.message = `statement ${index} of the batch: ${error.message}`;
      throw Object.assign(error, { index });
    }
  });
}

function checkStatement(database: Database, given: unknown): UnitStatement {
  if (typeof given !== 'object' || given === null) {
    throw new PoolError('POOL_MISUSE', 'it must be { sql, params }');
  }
  const { sql, params, rows } = given as BatchStatement;
  const { statement, bound } = database.bound(sql, params);
  const { kind } = statement.classification;
  if (kind !== 'read' && kind !== 'write') {
    throw new PoolError('POOL_MISUSE', `it cannot run in a transaction: ${shorten(sql)}`);
  }
  const method = rows === 'array' ? Method.queryValues : Method.query;
  return { statement, method, params: bound };
}
