import type { Database } from './database.js';
import { PoolError } from './errors.js';
import type { Replica } from './store.js';
import { errorOf } from './threads/failure.js';
import type { GateData } from './threads/protocol.js';
import { Answering } from './threads/questions.js';

/** This machine's replica of a database that many write; undefined where it is this one's alone. */
export function newReplica(database: Database): Replica | undefined {
  const { store: settings, connection } = database.options;
  if (settings === undefined) return undefined;
  const { store, retries, interval } = settings;
  return store.replica({
    file: connection.file,
    retries,
    interval,
    turn: (message) => turn(database, message),
    backup: (target, options) => {
      if (database.backups === undefined) throw new PoolError('POOL_CLOSED', 'the pool is closed');
      return database.backups.backup(target, options);
    },
  });
}

/** What a new thread that writes is given to ask a replica before it commits. */
export function gateOf(replica: Replica | undefined): GateData | undefined {
  if (replica === undefined) return undefined;
  const { data } = new Answering((question) => replica.answer(question));
  return { ...replica.gate, questions: data };
}

/** Gives the gate a message while nobody else has the writer. */
function turn(database: Database, message: unknown): Promise<void> {
  const { writer } = database;
  return new Promise((resolve, reject) => {
    if (database.refusal !== undefined) return reject(database.refusal);
    const mine = writer.acquire({
      ...{ kind: 'pull', shares: false, acquireTimeout: 0, limit: 0, opener: undefined },
      granted: () => {
        const task = writer.thread.expect({
          reply: (reply) => {
            writer.leave(mine);
            const failure = reply.type === 'done' ? reply.failure : undefined;
            // What it applied was committed by a connection of its own.
            database.changes.look();
            if (failure === undefined) resolve();
            else reject(errorOf(failure, database.options.connection.driver));
          },
          lost: reject,
        });
        writer.send({ type: 'gate', task, message });
      },
      ...{ refused: reject, expired: reject, revoked: reject, lost: reject },
    });
  });
}
