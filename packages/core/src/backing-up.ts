import type { Database } from './database.js';
import type { Holders } from './holders.js';
import { channels } from './observing/channels.js';
import type { OneShot } from './one-shot.js';
import { Backups } from './upkeep/backups/backups.js';

/** The backups of a database. */
export function newBackups(database: Database, holders: Holders, oneShot: OneShot): Backups {
  const { options, events } = database;
  const { file, connection, backups: settings } = options;
  return new Backups({
    connection,
    settings,
    inMemory: database.isMemory,
    ready: database.ready,
    refused: () => database.refusal,
    writesBefore: () => oneShot.writesBefore(),
    // The only connection is the writer's, which cannot copy beside its work.
    copyMemory: (to) => {
      const sql = `VACUUM INTO '${to.replaceAll("'", "''")}'`;
      return holders.alone('script', sql, (holder) => holder.exec(sql, true)).then(() => {});
    },
    ended: () => database.ended(),
    made: ({ path, bytes, verdict, duration: ms }, scheduled) => {
      const message = { file, scheduled, path, bytes, verdict, ms };
      events.emit('backup', () => [message]);
      if (channels.backup.hasSubscribers) channels.backup.publish(message);
    },
    sending: (progress) => events.emit('backupSending', () => [{ file, ...progress }]),
    sent: (sent) => {
      const message = { file, ...sent };
      events.emit('backupSent', () => [message]);
      if (channels.backupSent.hasSubscribers) channels.backupSent.publish(message);
    },
    failed: (error) => {
      const message = { task: 'backup', error } as const;
      events.emit('upkeepError', () => [message]);
      if (channels.upkeepError.hasSubscribers) channels.upkeepError.publish({ file, ...message });
    },
  });
}
