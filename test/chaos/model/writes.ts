import type { Pool, Statements } from '@poolite/core';

const PLANNED = 'planned';

/** How a write ends: it goes well, one of its parts is refused, it throws, kills its thread or is given up. */
export const ENDS = [
  'well',
  'refused',
  'throws',
  'dies',
  'given up',
  'given up soon',
  'late',
] as const;
export type End = (typeof ENDS)[number];

/** What its caller may hear where nothing else goes wrong. */
export const OUTCOMES: Readonly<Record<End, readonly string[]>> = {
  well: ['stored'],
  refused: ['SQLITE_CONSTRAINT_NOTNULL'],
  throws: [PLANNED],
  dies: ['POOL_THREAD_LOST', 'POOL_OUTCOME_UNKNOWN'],
  'given up': ['stored', 'POOL_ABORTED', 'POOL_OUTCOME_UNKNOWN'],
  'given up soon': ['stored', 'POOL_ABORTED', 'POOL_OUTCOME_UNKNOWN'],
  late: ['stored', 'POOL_TIMEOUT', 'POOL_OUTCOME_UNKNOWN'],
};

interface Part {
  sql: string;
  params: (number | null)[];
}

export interface Limits {
  signal?: AbortSignal;
  timeout?: number;
}

/** The statements of an entry, one of which is not as it should be. */
function partsOf(number: number, parts: number, end: End): Part[] {
  return Array.from({ length: parts }, (_, i) => {
    const isBad = i === parts >> 1;
    if (isBad && end === 'dies') {
      return { sql: 'INSERT INTO entry VALUES (?, die(?))', params: [number, i] };
    }
    const part = isBad && end === 'refused' ? null : i;
    return { sql: 'INSERT INTO entry VALUES (?, ?)', params: [number, part] };
  });
}

async function runAll(on: Statements, all: readonly Part[]): Promise<void> {
  // All at once: they travel together, and run in this order.
  await Promise.all(all.map(({ sql, params }) => on.run(sql, params)));
}

export interface WriteKind {
  readonly parts: number;
  /** The ways in which it can end. */
  readonly ends: readonly End[];
  write(pool: Pool, parts: readonly Part[], end: End, limits: Limits): Promise<unknown>;
}

const ONE_SHOT = ENDS.filter((end) => end !== 'throws');

export const WRITES: Readonly<Record<string, WriteKind>> = {
  run: {
    ...{ parts: 1, ends: ONE_SHOT },
    write: (pool, [part], _, limits) => pool.run((part as Part).sql, (part as Part).params, limits),
  },
  batch: {
    ...{ parts: 3, ends: ONE_SHOT },
    write: (pool, parts, _, limits) => pool.batch([...parts], limits),
  },
  transaction: {
    ...{ parts: 4, ends: ENDS },
    write: (pool, parts, end, limits) =>
      pool.transaction(async (tx) => {
        const [first, ...rest] = parts as [Part, ...Part[]];
        await tx.run(first.sql, first.params);
        await tx.savepoint((inner) => runAll(inner, rest));
        if (end === 'throws') throw new Error(PLANNED);
      }, limits),
  },
  lease: {
    ...{ parts: 2, ends: ENDS.filter((end) => end !== 'late') },
    write: async (pool, parts, end, { signal }) => {
      const lease = await pool.lease('write', { signal });
      try {
        await lease.run('BEGIN IMMEDIATE');
        await runAll(lease, parts);
        if (end === 'throws') throw new Error(PLANNED);
        await lease.run('COMMIT');
      } finally {
        await lease.release();
      }
    },
  },
  runMany: {
    ...{ parts: 50, ends: ['well', 'refused', 'throws', 'given up', 'given up soon', 'late'] },
    write: (pool, parts, end, limits) => {
      function* sets() {
        for (const { params } of parts) yield params;
        if (end === 'throws') throw new Error(PLANNED);
      }
      return pool.runMany('INSERT INTO entry VALUES (?, ?)', sets(), limits);
    },
  },
};

/** Writes an entry; ends it as is planned. */
export async function write(
  pool: Pool,
  { write: call, parts }: WriteKind,
  number: number,
  end: End,
): Promise<void> {
  const controller = new AbortController();
  const limits: Limits = {
    ...(end.startsWith('given up') ? { signal: controller.signal } : {}),
    ...(end === 'late' ? { timeout: 1 } : {}),
  };
  const answer = call(pool, partsOf(number, parts, end), end, limits);
  if (end === 'given up') controller.abort();
  if (end === 'given up soon') setImmediate(() => controller.abort());
  await answer;
}
