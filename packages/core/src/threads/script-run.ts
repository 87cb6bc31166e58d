import { controlsTransaction, statementsOf } from '../statements/script.js';
import type { Connection } from './connection.js';
import type { CommitGate } from './gate.js';
import { inOwnCommit } from './own-commit.js';

/**
 * Runs a script where each statement must be told to a gate. Outside a transaction, neighbours that others must know
 * of are committed together; settings of the connection, which would have no effect in a transaction, run between.
 */
export function runScript(connection: Connection, gate: CommitGate, script: string): void {
  const run = (sql: string) => {
    gate.before(sql);
    connection.db.exec(sql);
    gate.after(sql);
  };
  const statements = [...statementsOf(script)].map(({ sql }) => sql);
  if (connection.db.inTransaction) {
    for (const sql of statements) run(sql);
    return;
  }
  if (controlsTransaction(script)) {
    const message =
      'a script cannot begin or end a transaction where every commit goes to a store: leave BEGIN and ' +
      'COMMIT out (its statements are committed together), or use pool.transaction()';
    throw Object.assign(new Error(message), { name: 'PoolError', code: 'POOL_MISUSE' });
  }
  let together: string[] = [];
  const commit = () => {
    const these = together;
    together = [];
    if (these.length > 0) inOwnCommit(connection, () => these.forEach(run));
  };
  for (const sql of statements) {
    if (gate.before(sql) === 'replicated') {
      together.push(sql);
    } else {
      commit();
      run(sql);
    }
  }
  commit();
}
