import { monitorEventLoopDelay } from 'node:perf_hooks';
import { ACCOUNTS, BALANCE, itemOf, type OpenDatabase, quoted, Undone } from './contender.ts';
import { type Load, load } from './load.ts';

/** What a process is told to do for one round. */
export interface Order {
  work: WorkName;
  callers: number;
  ms: number;
  /** A query of about this text's time, for the work that has one. */
  slow?: string;
  /** Where a backup goes. */
  target?: string;
}

export interface Outcome {
  /** By name: `perSecond` and whatever else the work measures. */
  figures: Record<string, number>;
  errors: Record<string, number>;
  /** What the database holds that it should not, or lacks. */
  wrong?: string;
}

/** What the process has been told of its database: to be compared with what is stored. */
export interface Told {
  filled: number;
  inserted: number;
  /** The sum of all prices. */
  prices: number;
  /** By item: the price that an update gave it. */
  updated: Map<number, number>;
  /** By account: what acknowledged transfers added to it. */
  moved: Map<number, number>;
  transfers: number;
}

export interface Arena {
  db: OpenDatabase;
  told: Told;
  /** Counts up over all rounds. */
  n: number;
}

const BULK = 5000;
const QUICK_EVERY = 5;

/** Of the items that were there, all of them before the first comes again. */
const idOf = ({ told }: Arena, n: number) => ((n * 7919) % told.filled) + 1;

function insert(arena: Arena): unknown {
  const item = itemOf(arena.n++);
  return after(arena.db.insert(item), () => {
    arena.told.inserted++;
    arena.told.prices += item.price;
  });
}

function update(arena: Arena): unknown {
  const { told } = arena;
  const n = arena.n++;
  const id = idOf(arena, n);
  // Another value each time: SQLite writes nothing where nothing changes.
  const price = n + 0.5;
  return after(arena.db.update(id, price), () => {
    told.prices += price - (told.updated.get(id) ?? itemOf(id - 1).price);
    told.updated.set(id, price);
  });
}

function transfer(arena: Arena): unknown {
  const n = arena.n++;
  const source = (n % ACCOUNTS) + 1;
  const target = ((n + 1 + (n % (ACCOUNTS - 1))) % ACCOUNTS) + 1;
  const undo = n % 10 === 9;
  const { moved } = arena.told;
  const add = (id: number, by: number) => moved.set(id, (moved.get(id) ?? 0) + by);
  const done = () => {
    if (undo) throw new Error('a transaction whose work threw was committed');
    arena.told.transfers++;
    add(source, -1);
    add(target, 1);
  };
  const undone = (error: unknown) => {
    if (!(undo && (error instanceof Undone || (error as Error).cause instanceof Undone)))
      throw error;
  };
  try {
    const answer = arena.db.transfer({ source, target, undo });
    if (answer instanceof Promise) return answer.then(done, undone);
  } catch (error) {
    return undone(error);
  }
  return done();
}

const told = ({ perSecond, calls, worst, errors }: Load): Outcome => ({
  figures: { perSecond, calls, worst },
  errors,
});

const calls = async (order: Order, work: (caller: number) => unknown) =>
  told(await load(order, work));

function expectRows(rows: readonly unknown[], n: number): void {
  if (rows.length !== n) throw new Error(`${rows.length} rows instead of ${n}`);
}

const after = <T>(answer: T | Promise<T>, then: (value: T) => void): unknown =>
  answer instanceof Promise ? answer.then(then) : then(answer);

const percentile = (values: number[], of: number): number =>
  values.sort((a, b) => a - b)[Math.min(values.length - 1, Math.floor(values.length * of))] ?? 0;

/** Quick reads come at their times, whatever else is going on: one that comes late has waited. */
async function besideSlow(arena: Arena, { slow = '', ms }: Order): Promise<Outcome> {
  const times: number[] = [];
  const errors: Record<string, number> = {};
  const delay = monitorEventLoopDelay({ resolution: 1 });
  delay.enable();
  // It tells how far apart two of its own timers came: the first must have come.
  await new Promise((resolve) => setTimeout(resolve, 10));
  const started = performance.now();
  const asked: Promise<unknown>[] = [];
  const quick = async (due: number) => {
    await get(arena);
    times.push(performance.now() - due);
  };
  let due = started;
  await new Promise((resolve) => setImmediate(resolve));
  asked.push(Promise.resolve(arena.db.rows(slow)));
  const last = started + ms;
  // What came due while the loop stood still is asked after it, late, and counted.
  while (due <= last) {
    for (; due <= Math.min(performance.now(), last); due += QUICK_EVERY) asked.push(quick(due));
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  for (const { status, reason } of (await Promise.allSettled(asked)) as PromiseRejectedResult[]) {
    if (status === 'rejected') errors[String(reason)] = (errors[String(reason)] ?? 0) + 1;
  }
  await new Promise((resolve) => setTimeout(resolve, 20));
  delay.disable();
  return { figures: { p99: percentile(times, 0.99), stall: delay.max / 1e6 }, errors };
}

/** A copy while four callers insert; what it holds is looked at by the order after it. */
async function backup(arena: Arena, { target = '', ms }: Order): Promise<Outcome> {
  const { db } = arena;
  const started = performance.now();
  let took = 0;
  const copied = (async () => {
    await new Promise((resolve) => setImmediate(resolve));
    await (db.backup === undefined ? db.exec(`VACUUM INTO ${quoted(target)}`) : db.backup(target));
    took = performance.now() - started;
  })();
  const done = await load({ callers: 4, ms, yields: true }, () => insert(arena), copied);
  if (took === 0) done.errors[`the backup was not done after ${ms} ms of inserts`] = 1;
  await copied;
  return {
    figures: { took, perSecond: done.perSecond, worst: done.worst },
    errors: done.errors,
  };
}

async function bulk(arena: Arena, order: Order): Promise<Outcome> {
  const done = await load(order, () => {
    const items = Array.from({ length: BULK }, () => itemOf(arena.n++));
    return after(arena.db.bulk(items), () => {
      arena.told.inserted += BULK;
      for (const { price } of items) arena.told.prices += price;
    });
  });
  return told({ ...done, perSecond: done.perSecond * BULK });
}

function get(arena: Arena): unknown {
  const id = idOf(arena, arena.n++);
  return after(arena.db.get(id), (row) => {
    const found = (row as { id?: number } | undefined)?.id;
    if (found !== id) throw new Error(`item ${id} was asked for, ${found ?? 'none'} was answered`);
  });
}

function range(arena: Arena): unknown {
  const from = idOf(arena, arena.n++) % (arena.told.filled - 100);
  return after(arena.db.range(from), (rows) => expectRows(rows, 100));
}

export const WORKS = {
  get: (arena, order) => calls(order, () => get(arena)),
  range: (arena, order) => calls(order, () => range(arena)),
  all: (arena, order) =>
    calls(order, () => after(arena.db.all(), (rows) => expectRows(rows, arena.told.filled))),
  insert: (arena, order) => calls(order, () => insert(arena)),
  update: (arena, order) => calls(order, () => update(arena)),
  bulk,
  transfer: (arena, order) => calls(order, () => transfer(arena)),
  /** Every eighth caller inserts on its own: another's rollback must not take that away. */
  bystander: (arena, order) =>
    calls(order, (caller) => (caller % 8 === 7 ? insert(arena) : transfer(arena))),
  mixed: (arena, order) => calls(order, () => (arena.n % 5 === 4 ? update(arena) : get(arena))),
  slow: besideSlow,
  backup,
} as const satisfies Record<string, (arena: Arena, order: Order) => Promise<Outcome>>;

export type WorkName = keyof typeof WORKS;

/** Compares what is stored with what the callers were told. */
export async function check({ db, told }: Arena): Promise<string | undefined> {
  const [items] = (await db.rows('SELECT count(*) AS n, sum(price) AS s FROM item')) as [
    { n: number; s: number | null },
  ];
  const rows = told.filled + told.inserted;
  if (items.n !== rows) return `${items.n} rows are stored, ${rows} were acknowledged`;
  if ((items.s ?? 0) !== told.prices) return `a sum is ${items.s} and should be ${told.prices}`;
  const [ledger] = (await db.rows('SELECT count(*) AS n FROM ledger')) as [{ n: number }];
  if (ledger.n !== told.transfers) {
    return `${ledger.n} transactions are stored, ${told.transfers} were acknowledged`;
  }
  const accounts = (await db.rows('SELECT id, balance FROM account')) as {
    id: number;
    balance: number;
  }[];
  for (const { id, balance } of accounts) {
    const wanted = BALANCE + (told.moved.get(id) ?? 0);
    if (balance !== wanted) {
      return `transactions undid one another: account ${id} has ${balance} instead of ${wanted}`;
    }
  }
  return undefined;
}
