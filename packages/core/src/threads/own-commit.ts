import type { Connection } from './connection.js';
import { runsAgain } from './gate.js';

/**
 * Runs `work` in a transaction of its own, and again as long as a gate refuses the commit and says that it may. Throws
 * where SQLite, or `work`, does: nothing of it is stored then.
 *
 * @param undone is told of each rollback.
 */
export function inOwnCommit(connection: Connection, work: () => void, undone = () => {}): void {
  for (;;) {
    connection.control('BEGIN IMMEDIATE');
    try {
      work();
      connection.control('COMMIT');
      return;
    } catch (error) {
      if (connection.db.inTransaction) connection.control('ROLLBACK');
      undone();
      if (!runsAgain(error)) throw error;
    }
  }
}
