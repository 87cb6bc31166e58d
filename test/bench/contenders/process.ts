import {
  type Contender,
  itemOf,
  type OpenDatabase,
  type OpenOptions,
  TABLES,
} from './contender.ts';
import { inTurn } from './in-turn.ts';
import { load, messageOf } from './load.ts';
import { type Arena, check, type Order, type Outcome, type Told, WORKS } from './works.ts';

/** What the harness tells the process of a contender, one at a time. */
export type Command =
  | {
      do: 'open';
      module: string;
      name: string;
      file: string;
      options: OpenOptions;
      /** Whether the file is made and filled with so many items, or is there. */
      fill: number | undefined;
      /** Whether writes wait for one another in the caller's code. */
      inTurn: boolean;
    }
  | { do: 'round'; order: Order; check: boolean }
  | { do: 'start'; module: string; name: string; file: string }
  | { do: 'copied'; module: string; name: string; file: string }
  | { do: 'count' }
  | { do: 'close' };

export type Reply = { value: unknown } | { error: string };

let arena: Arena | undefined;

async function contenderOf(module: string, name: string): Promise<Contender> {
  const { contenders } = (await import(module)) as { contenders: readonly Contender[] };
  const found = contenders.find((each) => each.name === name);
  if (found === undefined) throw new Error(`${module} has no contender '${name}'`);
  return found;
}

async function fill(db: OpenDatabase, rows: number): Promise<number> {
  await db.exec(TABLES);
  let prices = 0;
  for (let at = 0; at < rows; at += 5000) {
    const items = Array.from({ length: Math.min(5000, rows - at) }, (_, i) => itemOf(at + i));
    await db.bulk(items);
    for (const { price } of items) prices += price;
  }
  return prices;
}

async function open(command: Command & { do: 'open' }): Promise<void> {
  await arena?.db.close();
  arena = undefined;
  const contender = await contenderOf(command.module, command.name);
  const found = await contender.open(command.file, command.options);
  const db = command.inTurn ? inTurn(found) : found;
  const told: Told = {
    filled: 0,
    inserted: 0,
    prices: 0,
    updated: new Map(),
    moved: new Map(),
    transfers: 0,
  };
  if (command.fill !== undefined) {
    told.filled = command.fill;
    told.prices = await fill(db, command.fill);
  }
  const [mode] = (await db.rows('PRAGMA journal_mode')) as [{ journal_mode: string }];
  if (mode.journal_mode !== 'wal') throw new Error(`journal_mode is ${mode.journal_mode}, not wal`);
  arena = { db, told, n: told.filled };
}

async function round(order: Order, checked: boolean): Promise<Outcome> {
  if (arena === undefined) throw new Error('nothing is open');
  const outcome = await WORKS[order.work](arena, order);
  if (!checked) return outcome;
  const wrong = await check(arena);
  return wrong === undefined ? outcome : { ...outcome, wrong };
}

async function count(): Promise<number> {
  if (arena === undefined) throw new Error('nothing is open');
  const [{ n }] = (await arena.db.rows('SELECT count(*) AS n FROM item')) as [{ n: number }];
  return n;
}

const megabytes = () => process.memoryUsage.rss() / 2 ** 20;

/** From the first line of the library to the first answer, and the memory it has taken after some work. */
async function start({ module, name, file }: Command & { do: 'start' }): Promise<Outcome> {
  const before = megabytes();
  const started = performance.now();
  const contender = await contenderOf(module, name);
  const db = await contender.open(file, { synchronous: 'normal', shared: false });
  await db.get(1);
  const took = performance.now() - started;
  for (let i = 0; i < 5; i++) await db.all();
  let n = 0;
  const { errors } = await load({ callers: 64, ms: 100 }, () => db.insert(itemOf(n++)));
  const memory = megabytes() - before;
  await db.close();
  return { figures: { took, memory }, errors };
}

/** The items in a backup, which must be whole. */
async function copied({ module, name, file }: Command & { do: 'copied' }): Promise<number> {
  const contender = await contenderOf(module, name);
  const db = await contender.open(file, { synchronous: 'normal', shared: false });
  try {
    const [row] = (await db.rows('PRAGMA integrity_check')) as [{ integrity_check: string }];
    if (row.integrity_check !== 'ok') throw new Error(`the backup: ${row.integrity_check}`);
    const [{ n }] = (await db.rows('SELECT count(*) AS n FROM item')) as [{ n: number }];
    return n;
  } finally {
    await db.close();
  }
}

function obey(command: Command): Promise<unknown> {
  switch (command.do) {
    case 'open':
      return open(command);
    case 'round':
      return round(command.order, command.check);
    case 'start':
      return start(command);
    case 'copied':
      return copied(command);
    case 'count':
      return count();
    case 'close':
      return Promise.resolve(arena?.db.close()).then(() => {
        arena = undefined;
      });
  }
}

/** A rejection that nobody awaits belongs to the contender: it is told, and ends the process. */
process.on('uncaughtException', (error) => {
  process.send?.({ error: messageOf(error) } satisfies Reply, () => process.exit(1));
});
process.on('message', (command: Command) => {
  obey(command).then(
    (value) => process.send?.({ value } satisfies Reply),
    (error: unknown) => process.send?.({ error: messageOf(error) } satisfies Reply),
  );
});
process.on('disconnect', () => process.exit());
