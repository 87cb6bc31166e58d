import type { Writer } from './writer.js';

/** Whether reads must wait for one-shot writes: never for those behind a turn. */
export function holdsReads({ groups, holder, thread }: Writer): boolean {
  if (holder !== undefined) return !thread.isRemote && groups.sentOwn;
  return groups.sentOwn || groups.gathersOwn;
}

/** Whether a read need not wait any more for the writes up to this number. */
export function hasPassed({ groups, holder, thread }: Writer, issued: number): boolean {
  // Another process granted the turn before it ran what is not answered yet.
  if (holder !== undefined && thread.isRemote) return true;
  return groups.hasPassed(issued, holder !== undefined);
}
