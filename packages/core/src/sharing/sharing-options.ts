import { PoolError } from '../errors.js';
import { type Check, fields, refuse, text } from '../option-checks.js';
import type { SharingSettings } from './membership.js';

/**
 * Who writes. `'own'`: a thread of this pool. `'shared'`: the processes that open the file with this
 * option elect one that writes for all. An object names the socket of a writer that runs in a
 * process of its own: see `startWriterServer`.
 */
export type WriterOption =
  | 'own'
  | 'shared'
  | {
      /** The path of its socket, as `startWriterServer` returns it. */
      socketPath: string;
    };

const named = fields({ socketPath: text }, 'writer');

export const checkWriter: Check = (name, value) => {
  if (value === 'own' || value === 'shared') return;
  if (typeof value !== 'object') refuse(name, value, "'own', 'shared' or { socketPath }");
  named(name, value);
  if ((value as { socketPath?: unknown }).socketPath === undefined) {
    refuse(name, value, "'own', 'shared' or { socketPath }");
  }
};

/** What the option means; undefined for a writer of the pool's own. */
export function resolveWriter(
  given: WriterOption | undefined,
  { patience, why }: { patience: number; why: string | undefined },
): SharingSettings | undefined {
  if (given === undefined || given === 'own') return undefined;
  if (why !== undefined) throw new PoolError('POOL_OPTIONS', `option 'writer' ${why}`);
  const socketPath = given === 'shared' ? undefined : given.socketPath;
  return Object.freeze({ socketPath, mayWrite: given === 'shared', mustWrite: false, patience });
}
