import type { Part } from '../entry.js';
import { changesOf, INSERT, plainValue } from './changeset.js';

const TABLE = 'poolite_requests';

/** The idempotency keys that are remembered from this entry on. */
export function answeredRequests(parts: readonly Part[]): string[] {
  const ids: string[] = [];
  for (const part of parts) {
    // To read a changeset costs more than to look for a name in it.
    if (part.type !== 'changes' || !viewOf(part.bytes).includes(TABLE)) continue;
    for (const { table, operation, after } of changesOf(part.bytes)) {
      if (operation !== INSERT || table.name !== TABLE) continue;
      const id = plainValue(after[0]);
      if (typeof id === 'string') ids.push(id);
    }
  }
  return ids;
}

function viewOf(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
