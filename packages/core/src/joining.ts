import type { Database } from './database.js';
import { PoolError } from './errors.js';
import { WriterDesk } from './hosting.js';
import { openError } from './open-error.js';
import { openWhen } from './replicating.js';
import { Membership } from './sharing/membership.js';
import { gateOf } from './storing.js';
import { failureOf } from './threads/rows.js';
import { Thread } from './threads/thread.js';
import type { StartLine } from './writing/owner.js';

/** How a database comes to its writer: a thread of its own, or the one that all processes share. */
export interface Joined {
  readonly start: StartLine;
  /** Undefined for a writer of its own. */
  readonly membership: Membership | undefined;
}

/** @param prepared resolves when the file may be opened. */
export function join(database: Database, prepared: Promise<void> | undefined): Joined {
  const { connection, sharing } = database.options;
  const startThread: StartLine = (owner) => {
    const claims = new Int32Array(new SharedArrayBuffer(4));
    const thread = new Thread('writer', connection, claims, 0, owner, gateOf(database.replica));
    openWhen(prepared, thread);
    return thread;
  };
  if (sharing === undefined) return { start: startThread, membership: undefined };
  const membership = new Membership(sharing, connection, {
    startThread: (owner) => startThread(owner, () => {}),
    desk: () => new WriterDesk(database),
    wantsFull: () => wantFull(database),
    roleChanged: (role, pid) => {
      database.events.emit('writer', () => [{ role, pid }]);
    },
    failed: (error) =>
      database.fail(PoolError.is(error) ? error : openError(failureOf(error), database.options)),
  });
  return { start: (owner, arrived) => membership.start(owner, arrived), membership };
}

/** The strictest of all processes counts. */
function wantFull(database: Database): void {
  if (database.options.connection.synchronous === 'full') return;
  const refused = () => {}; // The pool has ended, and with it all commits.
  const turn = database.writer.acquire({
    ...{ kind: 'script', shares: false, acquireTimeout: 0, limit: 0, opener: undefined },
    granted: () => {
      const { writer } = database;
      const task = writer.thread.expect({ reply: () => writer.leave(turn), lost: () => {} });
      const script = 'PRAGMA synchronous = FULL';
      writer.send({ type: 'exec', task, session: 0, script, alone: false });
    },
    ...{ refused, expired: refused, revoked: refused, lost: refused },
  });
}
