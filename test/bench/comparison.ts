import { statSync } from 'node:fs';
import { join } from 'node:path';
import { Member } from './contenders/member.ts';
import { type Entry, LIBRARIES, ORMS } from './contenders/registry.ts';
import type { Order, Outcome, WorkName } from './contenders/works.ts';
import { type Contender, isQuick, type Scenario, scaled } from './harness.ts';
import { installPeers, type Missing } from './peers/install.ts';
import { slowQuery } from './slow-query.ts';

const ROUND = 300;
/** The round before the first: a server's code has run for longer than this when it matters. */
const WARM_UP = 800;
const ROUNDS = 5;
const PROCESSES = 8;
/** Items that are read and updated; inserts come behind them. */
const ROWS = 10_000;
/** More than callers: each updates one of its own. */
const QUICK_ROWS = 2000;
const SLOW = 400;

export interface Work {
  /** What is measured, as the tables call it. */
  name: string;
  work: WorkName;
  callers?: number;
  synchronous?: 'normal' | 'full';
  unit: string;
  /** The figure of the outcome that counts. */
  figure?: string;
  ms?: number;
  entries?: readonly Entry[];
  /** Left out of a quick run. */
  long?: boolean;
}

const members = new Map<string, Member>();

function memberOf({ name }: Entry): Member {
  const member = members.get(name) ?? new Member();
  members.set(name, member);
  return member;
}

/** Ends the processes of all contenders. */
export function endMembers(): void {
  for (const member of members.values()) member.end();
  members.clear();
}

let peers: Promise<Missing> | undefined;

async function checkThere({ peer }: Entry): Promise<void> {
  if (peer === undefined) return;
  peers ??= installPeers();
  const reason = (await peers).get(peer);
  if (reason !== undefined) throw new Error(reason);
}

/** What went wrong, if anything did: a figure counts only of a contender that did all it was told to. */
export function judged({ errors, wrong }: Omit<Outcome, 'figures'>): void {
  const [[message, times] = [], ...more] = Object.entries(errors).sort(([, a], [, b]) => b - a);
  const said = message === undefined ? [] : [`${times} calls failed: ${message}`];
  if (more.length > 0) said.push(`${more.length} other errors`);
  if (wrong !== undefined) said.push(wrong);
  if (said.length > 0) throw new Error(said.join('; '));
}

function contenderOf(entry: Entry, folder: string, work: Work, rows: number): Contender {
  const member = memberOf(entry);
  const file = join(folder, `${entry.name.replaceAll(/[^a-z0-9]+/gi, '-')}.db`);
  const found = { module: entry.module.href, name: entry.base ?? entry.name };
  const options = { synchronous: work.synchronous ?? 'normal', shared: false } as const;
  let opened = false;
  let warm = false;
  let copies = 0;
  return {
    name: entry.name,
    ...(entry.against === undefined ? {} : { against: entry.against }),
    round: async () => {
      try {
        if (!opened) {
          await checkThere(entry);
          const inTurn = entry.inTurn ?? false;
          await member.tell({ do: 'open', ...found, file, options, fill: rows, inTurn });
          opened = true;
        }
        const order: Order = {
          work: work.work,
          callers: work.callers ?? 1,
          ms: scaled(work.ms ?? (warm || isQuick() ? ROUND : WARM_UP)),
        };
        warm = true;
        if (work.work === 'slow') order.slow = slowQuery(scaled(SLOW));
        if (work.work === 'backup') order.target = `${file}.${copies++}.copy`;
        const outcome = await member.tell<Outcome>({ do: 'round', order, check: true });
        judged(outcome);
        if (order.target !== undefined) {
          const helper = new Member();
          try {
            const rowsThere = await helper.tell<number>({
              ...{ do: 'copied', ...found, file: order.target },
            });
            if (rowsThere < rows) throw new Error(`the backup has ${rowsThere} of ${rows} rows`);
          } finally {
            helper.end();
          }
        }
        return outcome.figures[work.figure ?? 'perSecond'] as number;
      } catch (error) {
        // Whatever it is in the middle of: the next work finds a process that knows nothing of it.
        member.end();
        throw error;
      }
    },
    close: async () => {
      if (opened) await member.tell({ do: 'close' }).catch(() => member.end());
    },
  };
}

/** The scenario of one work: each contender on a file of its own, in a process of its own. */
export function comparing(work: Work): Scenario {
  const reads = ['get', 'range', 'all', 'update', 'mixed', 'slow'].includes(work.work);
  return {
    name: `libraries: ${work.name}`,
    unit: work.unit,
    rounds: ROUNDS,
    ...(work.long === true ? { long: true } : {}),
    contenders: async (folder) => {
      const some = isQuick() && !['all', 'slow'].includes(work.work) ? QUICK_ROWS : ROWS;
      const rows = reads || work.work === 'backup' ? some : 0;
      const entries = work.entries ?? [...LIBRARIES, ...ORMS];
      return entries.map((entry) => contenderOf(entry, folder, work, rows));
    },
  };
}

/** Eight processes of one contender, on one file. */
function crowdOf(entry: Entry, folder: string): Contender {
  const file = join(folder, `${entry.name.replaceAll(/[^a-z0-9]+/gi, '-')}.db`);
  const crowd = Array.from({ length: PROCESSES }, () => new Member());
  const found = { module: entry.module.href, name: entry.name, inTurn: false };
  const options = { synchronous: 'full', shared: true } as const;
  let opened = false;
  let acknowledged = 0;
  return {
    name: entry.name,
    round: async () => {
      const [first, ...others] = crowd as [Member, ...Member[]];
      if (!opened) {
        await checkThere(entry);
        await first.tell({ do: 'open', ...found, file, options, fill: 0 });
        await Promise.all(
          others.map((each) => each.tell({ do: 'open', ...found, file, options, fill: undefined })),
        );
        opened = true;
      }
      const order: Order = { work: 'insert', callers: 16, ms: scaled(ROUND * 5) };
      const outcomes = await Promise.all(
        crowd.map((each) => each.tell<Outcome>({ do: 'round', order, check: false })),
      );
      const errors: Record<string, number> = {};
      for (const outcome of outcomes) {
        for (const [message, times] of Object.entries(outcome.errors)) {
          errors[message] = (errors[message] ?? 0) + times;
        }
        acknowledged += outcome.figures.calls as number;
      }
      const stored = await first.tell<number>({ do: 'count' });
      judged({
        errors,
        ...(stored === acknowledged
          ? {}
          : { wrong: `${stored} rows are stored, ${acknowledged} were acknowledged` }),
      });
      return outcomes.reduce((sum, { figures }) => sum + (figures.perSecond as number), 0);
    },
    close: async () => {
      await Promise.all(crowd.map((each) => opened && each.tell({ do: 'close' }).catch(() => {})));
      for (const each of crowd) each.end();
    },
  };
}

/** A new process each time, on a file that is there. */
function starting(entry: Entry, folder: string, figure: 'took' | 'memory'): Contender {
  const file = join(folder, `${entry.name.replaceAll(/[^a-z0-9]+/gi, '-')}.db`);
  const found = { module: entry.module.href, name: entry.name };
  const options = { synchronous: 'normal', shared: false } as const;
  return {
    name: entry.name,
    ...(entry.against === undefined ? {} : { against: entry.against }),
    round: async () => {
      await checkThere(entry);
      const member = new Member();
      try {
        if (statSync(file, { throwIfNoEntry: false }) === undefined) {
          await member.tell({ do: 'open', ...found, file, options, fill: ROWS, inTurn: false });
          await member.tell({ do: 'close' });
          member.end();
        }
        const outcome = await member.tell<Outcome>({ do: 'start', ...found, file });
        judged(outcome);
        return outcome.figures[figure] as number;
      } finally {
        member.end();
      }
    },
  };
}

const starts = (name: string, unit: string, figure: 'took' | 'memory'): Scenario => ({
  name: `libraries: ${name}`,
  unit,
  rounds: ROUNDS,
  long: true,
  contenders: async (folder) =>
    [...LIBRARIES, ...ORMS].map((entry) => starting(entry, folder, figure)),
});

const callersOf = (callers: number) =>
  callers === 1 ? '1 caller' : `${callers.toLocaleString('en')} callers`;

const writes = (['insert', 'update'] as const).flatMap((work) =>
  (['normal', 'full'] as const).flatMap((synchronous) =>
    [1, 8, 64, 1024].map(
      (callers): Work => ({
        name: `one-shot ${work}s, ${callersOf(callers)}, synchronous ${synchronous}`,
        ...{ work, callers, synchronous, unit: 'calls/s' },
        long: work === 'update' || callers === 8 || callers === 1024,
      }),
    ),
  ),
);

/** Those whose transactions share a connection, with a queue around them. */
const queued = [...LIBRARIES, ...ORMS]
  .filter(({ name }) =>
    ['sqlite3', '@libsql/client', 'drizzle-orm/libsql', 'typeorm, better-sqlite3'].includes(name),
  )
  .map(
    (entry): Entry => ({
      ...entry,
      name: `${entry.name}, in turn`,
      base: entry.name,
      inTurn: true,
    }),
  );
const withQueued = [...LIBRARIES, ...ORMS, ...queued];

const transfers: readonly Work[] = [
  { name: 'transactions of 5 statements, 1 caller, synchronous full', callers: 1 },
  {
    name: 'transactions of 5 statements, 64 callers, synchronous full',
    callers: 64,
    entries: withQueued,
    long: true,
  },
].map((each): Work => ({ ...each, work: 'transfer', synchronous: 'full', unit: 'calls/s' }));

const works: readonly Work[] = [
  { name: 'point reads, 1 caller', work: 'get', unit: 'calls/s' },
  { name: 'point reads, 64 callers', work: 'get', callers: 64, unit: 'calls/s' },
  { name: 'ranges of 100 rows, 1 caller', work: 'range', unit: 'calls/s' },
  { name: 'reads of 10,000 rows, 1 caller', work: 'all', unit: 'calls/s', long: true },
  ...writes,
  {
    name: 'bulk inserts of 5,000 rows, synchronous full',
    work: 'bulk',
    synchronous: 'full',
    unit: 'rows/s',
    long: true,
  },
  ...transfers,
  {
    name: '56 callers with transactions, 8 with one-shot inserts, synchronous full',
    ...{ work: 'bystander', callers: 64, synchronous: 'full', unit: 'calls/s' },
    entries: withQueued,
    long: true,
  },
  {
    name: '80 % point reads, 20 % updates, 64 callers',
    work: 'mixed',
    callers: 64,
    unit: 'calls/s',
    long: true,
  },
  {
    name: `p99 of quick reads beside a query of ${SLOW} ms`,
    ...{ work: 'slow', unit: 'ms', figure: 'p99', ms: SLOW * 1.5 },
  },
  {
    name: `event loop's longest stall beside a query of ${SLOW} ms`,
    ...{ work: 'slow', unit: 'ms', figure: 'stall', ms: SLOW * 1.5 },
    long: true,
  },
  {
    name: 'backup while 4 callers insert',
    ...{ work: 'backup', unit: 'ms', figure: 'took', ms: 10_000, entries: LIBRARIES },
    long: true,
  },
  {
    name: 'longest wait of an insert during a backup',
    ...{ work: 'backup', unit: 'ms', figure: 'worst', ms: 10_000, entries: LIBRARIES },
    long: true,
  },
];

/** The same work for every library that an application could take instead. */
export const comparison: readonly Scenario[] = [
  ...works.map(comparing),
  {
    name: `libraries: ${PROCESSES} processes that insert, 16 callers each, synchronous full`,
    unit: 'calls/s',
    rounds: ROUNDS,
    long: true,
    contenders: async (folder) => LIBRARIES.map((entry) => crowdOf(entry, folder)),
  },
  starts('import and open to the first answer', 'ms', 'took'),
  starts('memory after some reads and inserts', 'MB', 'memory'),
];
