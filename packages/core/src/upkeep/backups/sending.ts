import type { BackupDestination, TransferProgress } from '../destinations/destination.js';
import type { BackupsOwner } from './backups.js';

/** How often it is told how much was sent, in ms. */
const TELL = 50;

/** A backup that is sent, and who is told of it. */
export interface Sending {
  file: string;
  name: string;
  bytes: number;
  signal: AbortSignal;
  owner: Pick<BackupsOwner, 'sending' | 'sent'>;
  onProgress?: ((progress: TransferProgress) => void) | undefined;
}

/** Sends a backup to a destination. */
export async function send(
  destination: BackupDestination,
  { file, name, bytes, signal, owner, onProgress }: Sending,
): Promise<void> {
  const started = performance.now();
  const location = destination.locationOf(name);
  let told = 0;
  const tell = (progress: TransferProgress) => {
    const now = performance.now();
    const { doneBytes, totalBytes } = progress;
    if (now - told < TELL && doneBytes > 0 && doneBytes < totalBytes) return;
    told = now;
    owner.sending({ name, location, totalBytes, doneBytes });
    onProgress?.(progress);
  };
  tell({ totalBytes: bytes, doneBytes: 0 });
  await destination.put(file, name, { signal, onProgress: tell });
  owner.sent({ name, location, bytes, ms: performance.now() - started });
}
