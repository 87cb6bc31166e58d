import { oneOf } from './option-checks.js';
import type { CallOptions, GetOptions } from './surface.js';
import { Method } from './threads/protocol.js';

type RunRow = (method: Method, limits: CallOptions | undefined) => Promise<unknown>;

const rowShape = oneOf('object', 'array');

/** `get`, by whatever runs a statement: as an array, the row comes in a list of one. */
export function firstRow(options: GetOptions | undefined, run: RunRow): Promise<unknown> {
  return options === undefined ? run(Method.get, undefined) : rowBy(options, run);
}

async function rowBy(options: GetOptions, run: RunRow): Promise<unknown> {
  const { rows = 'object', signal, timeout, access, linearizable } = options;
  rowShape('rows', rows);
  // A call without limits may run at once, on the calling thread.
  const isLimited = signal !== undefined || timeout !== undefined || access !== undefined;
  const limits = isLimited || linearizable === true ? options : undefined;
  if (rows === 'object') return run(Method.get, limits);
  const [row] = (await run(Method.firstValues, limits)) as unknown[];
  return row;
}
