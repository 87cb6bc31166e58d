import { PoolError } from '../../errors.js';
import type {
  BackupDestination,
  StoredBackup,
  TransferProgress,
} from '../destinations/destination.js';
import type { ListedFile } from '../jobs/messages.js';

/**
 * Sends the backups of a folder to their destination: whatever of the newest is not there yet, so
 * that what could not be sent, or was cut short with its process, is sent the next time.
 */
export class Shipping {
  readonly destination: BackupDestination;
  readonly #keep: number;
  /** Backups that were sent, and old ones that were removed there. */
  readonly counts = { stored: 0, storedRemoved: 0 };
  progress: TransferProgress | undefined;
  #stop = new AbortController();

  constructor(destination: BackupDestination, keep: number) {
    this.destination = destination;
    this.#keep = keep;
  }

  /** Sends what is missing there, of the files of the folder, the newest first. */
  async send(files: readonly ListedFile[]): Promise<void> {
    const { destination } = this;
    const { signal } = this.#stop;
    if (signal.aborted) return;
    const there = new Set((await destination.list()).map(({ name }) => name));
    const newest = files.filter(({ verdict }) => verdict !== 'damaged').slice(0, this.#keep);
    const missing = newest.filter(({ name }) => !there.has(name)).reverse();
    const onProgress = (progress: TransferProgress) => {
      this.progress = progress;
    };
    try {
      for (const { path, name } of missing) {
        await destination.put(path, name, { signal, onProgress });
        this.counts.stored++;
      }
    } finally {
      this.progress = undefined;
    }
    // What was stored has been compared: the newest is good, and stays.
    if (missing.length > 0) await this.#thinOut();
  }

  /** Gives up what is under way; nothing is sent any more. */
  stop(error: Error): void {
    this.#stop.abort(error);
  }

  async #thinOut(): Promise<void> {
    const all = await this.destination.list();
    const old = all.slice(0, Math.max(0, all.length - this.#keep));
    const failed: unknown[] = [];
    for (const { name } of old) {
      try {
        await this.destination.remove(name);
        this.counts.storedRemoved++;
      } catch (error) {
        failed.push(error);
      }
    }
    if (failed.length === 0) return;
    const { where } = this.destination;
    throw new PoolError('POOL_BACKUP', `old backups could not be removed from ${where}`, {
      cause: failed[0],
    });
  }
}

/** The time in the name of a backup. */
export function beganAt({ name }: StoredBackup): Date {
  const [, date = '', clock = ''] = /^backup_(\d{8})_(\d{6})/.exec(name) ?? [];
  const day = date.replace(/(\d{4})(\d\d)(\d\d)/, '$1-$2-$3');
  return new Date(`${day}T${clock.replace(/(\d\d)(\d\d)(\d\d)/, '$1:$2:$3')}Z`);
}
