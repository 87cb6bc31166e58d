import type { Database } from './database.js';
import type { Events } from './observing/events.js';
import { type Listening, readChange } from './writing/changes.js';

/** Emits the event `change` for each commit, until it is stopped. */
export function listenForChanges(database: Database, events: Events): Listening {
  const { changes, connection } = database.options;
  const { rowids } = changes;
  const form = { rowids: rowids > 0, bigint: connection.integers === 'bigint' };
  return database.changes.listen({
    rowids,
    changed: (text) => {
      const message = readChange(text, form);
      if (message !== undefined) events.emit('change', () => [message]);
    },
  });
}
