import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** What this process still has to remove. */
const folders = new Set<string>();

const remove = (folder: string) => {
  folders.delete(folder);
  // Who wrote there may be dying still.
  rmSync(folder, { recursive: true, force: true, maxRetries: 10 });
};
const removeAll = () => folders.forEach(remove);

process.once('exit', removeAll);
// A worker of Vitest whose parent is no more is killed soon.
process.once('disconnect', removeAll);
// Vitest ends its workers so, whatever they are at.
for (const signal of ['SIGTERM', 'SIGINT'] as const) {
  process.once(signal, () => {
    removeAll();
    process.kill(process.pid, signal);
  });
}

export interface Scratch {
  folder: string;
  remove(): void;
  /** It stays. */
  keep(): void;
}

/** A folder that goes when it is removed, or else with the process, unless that is killed. */
export function scratch(prefix: string): Scratch {
  const folder = mkdtempSync(join(tmpdir(), prefix));
  folders.add(folder);
  return { folder, remove: () => remove(folder), keep: () => void folders.delete(folder) };
}
