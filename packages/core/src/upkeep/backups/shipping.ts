import { PoolError } from '../../errors.js';
import type { ConnectionOptions } from '../../threads/connection.js';
import {
  type BackupDestination,
  type StoredBackup,
  type TransferProgress,
  transferError,
} from '../destinations/destination.js';
import type { ListedFile } from '../jobs/messages.js';
import type { BackupsOwner } from './backups.js';
import { send } from './sending.js';
import { SendingLock } from './sending-lock.js';

/** Who is told of what is sent. */
type ShippingOwner = Pick<BackupsOwner, 'sending' | 'sent'>;

/**
 * Sends the backups of a folder to their destination: whatever of the newest is not there yet, so
 * that what could not be sent, or was cut short with its process, is sent the next time.
 */
export class Shipping {
  readonly destination: BackupDestination;
  readonly #keep: number;
  readonly #owner: ShippingOwner;
  /** Backups that were sent, and old ones that were removed there. */
  readonly counts = { stored: 0, storedRemoved: 0 };
  progress: TransferProgress | undefined;
  #stop = new AbortController();

  constructor(destination: BackupDestination, keep: number, owner: ShippingOwner) {
    this.destination = destination;
    this.#owner = owner;
    this.#keep = keep;
  }

  /**
   * Sends what is missing there, of the files of the folder, while no other process does. They are
   * asked for when it is their turn.
   */
  async send(
    directory: string,
    connection: ConnectionOptions,
    filesOf: () => Promise<readonly ListedFile[]>,
  ): Promise<void> {
    const { signal } = this.#stop;
    if (signal.aborted) return;
    const lock = await this.#lock(directory, connection);
    try {
      await this.#sendAll(await filesOf(), signal);
    } finally {
      lock.release();
    }
  }

  async #lock(directory: string, connection: ConnectionOptions): Promise<SendingLock> {
    const { signal } = this.#stop;
    try {
      return await SendingLock.take(directory, connection, signal);
    } catch (error) {
      throw transferError(`backups of ${directory} cannot be sent`, error, signal);
    }
  }

  async #sendAll(files: readonly ListedFile[], signal: AbortSignal): Promise<void> {
    const { destination } = this;
    const there = new Set((await destination.list()).map(({ name }) => name));
    const newest = files.filter(({ verdict }) => verdict !== 'damaged').slice(0, this.#keep);
    const missing = newest.filter(({ name }) => !there.has(name)).reverse();
    try {
      for (const file of missing) await this.#sendOne(file, signal);
    } finally {
      this.progress = undefined;
    }
    const good = files.find(({ verdict }) => verdict === 'ok')?.name;
    if (missing.length > 0) await this.#thinOut(good);
  }

  async #sendOne({ path: file, name, bytes }: ListedFile, signal: AbortSignal): Promise<void> {
    const onProgress = (progress: TransferProgress) => {
      this.progress = progress;
    };
    await send(this.destination, { file, name, bytes, signal, owner: this.#owner, onProgress });
    this.counts.stored++;
  }

  /** Gives up what is under way; nothing is sent any more. */
  stop(error: Error): void {
    this.#stop.abort(error);
  }

  /** Removes all but the newest, and never the newest that is good. */
  async #thinOut(good: string | undefined): Promise<void> {
    const all = await this.destination.list();
    const many = all.slice(0, Math.max(0, all.length - this.#keep));
    const old = many.filter(({ name }) => name !== good);
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
