import 'reflect-metadata';
import { join } from 'node:path';
import { poolite } from '@poolite/typeorm';
import { DataSource, EntitySchema } from 'typeorm';
import { type Contender, perSecond, type Scenario } from './harness.ts';

interface Item {
  id: number;
  name: string;
  count: number;
}

const Item = new EntitySchema<Item>({
  name: 'Item',
  columns: {
    id: { type: 'integer', primary: true, generated: true },
    name: { type: 'varchar' },
    count: { type: 'integer' },
  },
});

type Work = (source: DataSource, n: number) => Promise<unknown>;

const ROUND = 700;
const ROWS = 1000;

const named = (n: number) => ({ name: `name ${n}`, count: n });

const findById: Work = (source, n) =>
  source.getRepository(Item).findOneByOrFail({ id: (n % ROWS) + 1 });

const insert: Work = (source, n) => source.getRepository(Item).insert(named(n));

const save: Work = (source, n) => source.getRepository(Item).save(named(n));

const fiveSaves: Work = (source, n) =>
  source.transaction(async (manager) => {
    for (let i = 0; i < 5; i++) await manager.save(Item, named(n + i));
  });

async function contender(name: string, source: DataSource, callers: number, work: Work) {
  await source.initialize();
  await source.getRepository(Item).insert(Array.from({ length: ROWS }, (_, n) => named(n)));
  let n = 0;
  return {
    name: `${name}, ${callersOf(callers)}`,
    round: () => perSecond(callers, ROUND, () => work(source, n++)),
    close: () => source.destroy(),
  } satisfies Contender;
}

const callersOf = (callers: number) => (callers === 1 ? '1 caller' : `${callers} callers`);

const type = 'better-sqlite3';
const common = { entities: [Item], synchronize: true };

function stock(folder: string, callers: number, work: Work): Promise<Contender> {
  const source = new DataSource({
    type,
    ...common,
    database: join(folder, `stock-${callers}.db`),
    enableWAL: true,
    prepareDatabase: (db) => void db.pragma('synchronous = FULL'),
  });
  return contender('better-sqlite3', source, callers, work);
}

function pool(folder: string, callers: number, work: Work): Promise<Contender> {
  const driver = poolite({ synchronous: 'full' });
  const source = new DataSource({ type, ...common, driver, database: join(folder, 'pool.db') });
  return contender('poolite', source, callers, work);
}

interface Floors {
  /** Against better-sqlite3 with as many callers. */
  same?: number;
  /** Against better-sqlite3 with one caller. */
  one?: number;
}

/** On one connection, concurrent transactions of TypeORM fail: there one caller is compared. */
function scenarios(what: string, work: Work, callers: number, floors: Floors): Scenario[] {
  const scenario = (against: number, ratio: number | undefined): Scenario => ({
    name: `typeorm: ${what}, ${callersOf(callers)}, synchronous full`,
    unit: 'calls/s',
    rounds: 7,
    // A server's code has run for longer than three seconds: until then V8 has compiled little of TypeORM's.
    warmUps: 5,
    contenders: async (folder) => [
      await stock(folder, against, work),
      await pool(folder, callers, work),
    ],
    ...(ratio === undefined ? {} : { wanted: { [`poolite, ${callersOf(callers)}`]: { ratio } } }),
  });
  const all: Scenario[] = [];
  if (work !== fiveSaves || callers === 1) all.push(scenario(callers, floors.same));
  if (callers > 1 && (work === save || work === fiveSaves)) all.push(scenario(1, floors.one));
  return all;
}

/**
 * What TypeORM costs, and gains, on a pool. On its own driver concurrent saves fall into one
 * another's transactions: fewer commits, and no isolation. The pool's are transactions each.
 */
export const typeorm: readonly Scenario[] = [
  ...scenarios('find by id', findById, 1, { same: 0.9 }),
  ...scenarios('find by id', findById, 64, {}),
  ...scenarios('insert', insert, 1, { same: 0.75 }),
  ...scenarios('insert', insert, 64, { same: 4 }),
  ...scenarios('save', save, 1, { same: 0.75 }),
  ...scenarios('save', save, 64, { same: 1.5, one: 3 }),
  ...scenarios('transaction of 5 saves', fiveSaves, 1, {}),
  ...scenarios('transaction of 5 saves', fiveSaves, 64, {}),
];
