import { statSync } from 'node:fs';
import type { Database } from './database.js';
import { channels } from './observing/channels.js';
import type { Line } from './threads/line.js';
import { Replication } from './upkeep/litestream/replicate.js';

/** What replicates a database; undefined where nothing does. */
export function newReplication({ options, events }: Database): Replication | undefined {
  const { replicate, connection } = options;
  if (replicate === undefined) return undefined;
  return new Replication(replicate, connection, {
    writtenAt: () => statSync(`${connection.file}-wal`, { throwIfNoEntry: false })?.mtimeMs ?? 0,
    changed: (message) => {
      events.emit('replication', () => [message]);
      if (channels.replication.hasSubscribers) channels.replication.publish(message);
    },
  });
}

/** Lets a thread open the file, once a missing one has been restored. */
export function openWhen(prepared: Promise<void> | undefined, thread: Line): void {
  if (prepared === undefined) return thread.post([{ type: 'open' }]);
  // Callers wait for it already: the process must not end.
  thread.reference();
  prepared.then(
    () => thread.post([{ type: 'open' }]),
    () => {}, // The database fails of it.
  );
}
