import { and, asc, count, desc, eq, gt, inArray, like, lt, max, relations, sql } from 'drizzle-orm';
import {
  alias,
  except,
  intersect,
  sqliteTable,
  sqliteView,
  text,
  union,
  unionAll,
} from 'drizzle-orm/sqlite-core';
import { expect, test } from 'vitest';
import { ADA, byId, type Case, GRACE, named, tryCases } from './support/cases.ts';
import { account, freshBanks, owner } from './support/db.ts';

const freshBank = freshBanks();

/** Whoever fetches more than the first of these fetches for ever. */
const ENDLESS = sql`(WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i FROM n)`;

const selects: Case[] = [
  ['select', (db) => db.select().from(owner), [ADA, GRACE]],
  ['select all', (db) => db.select().from(owner).all(), [ADA, GRACE]],
  ['select get', (db) => db.select().from(owner).orderBy(desc(owner.id)).get(), GRACE],
  [
    'select get of rows without end',
    (db) => db.select({ i: sql<number>`i`, twin: sql<number>`i` }).from(ENDLESS).get(),
    { i: 1, twin: 1 },
  ],
  [
    'select get of nothing',
    (db) => db.select().from(owner).where(eq(owner.id, 9)).get(),
    undefined,
  ],
  [
    'select values',
    (db) => db.select().from(owner).values(),
    [
      [1, 'Ada', null],
      [2, 'Grace', 1],
    ],
  ],
  [
    'select run',
    (db) => db.select().from(owner).run(),
    { changes: 0, lastInsertRowid: expect.any(Number) },
  ],
  [
    'nested fields',
    (db) =>
      db
        .select({ a: { n: owner.name } })
        .from(owner)
        .limit(1),
    [{ a: { n: 'Ada' } }],
  ],
  ['distinct', (db) => db.selectDistinct({ n: sql<number>`1` }).from(owner), [{ n: 1 }]],
  [
    'left join: an object that is missing is null',
    (db) =>
      db
        .select()
        .from(owner)
        .leftJoin(account, and(eq(account.ownerId, owner.id), gt(account.cents, 0))),
    [
      { owner: ADA, account: null },
      { owner: GRACE, account: { id: 2, ownerId: 2, cents: 500 } },
    ],
  ],
  [
    'a join of two columns of one name',
    (db) => {
      const inviter = alias(owner, 'inviter');
      const on = eq(inviter.id, owner.invitedBy);
      return db.select({ name: owner.name, by: inviter.name }).from(owner).innerJoin(inviter, on);
    },
    [{ name: 'Grace', by: 'Ada' }],
  ],
  [
    'aggregates',
    (db) => db.select({ n: count(), most: max(account.cents) }).from(account),
    [{ n: 2, most: 500 }],
  ],
  ['like', (db) => named(db).where(like(owner.name, '%ace')), [{ name: 'Grace' }]],
  ['$count', (db) => db.$count(owner), 2],
  ['$count with a filter', (db) => db.$count(owner, eq(owner.name, 'Ada')), 1],
  [
    '$count as a field',
    (db) => db.select({ n: db.$count(account, eq(account.ownerId, owner.id)) }).from(owner),
    [{ n: 1 }, { n: 1 }],
  ],
  ['union', (db) => union(named(db), named(db)), [{ name: 'Ada' }, { name: 'Grace' }]],
  [
    'union all',
    (db) => unionAll(named(db), named(db)).limit(3),
    [{ name: 'Ada' }, { name: 'Grace' }, { name: 'Ada' }],
  ],
  [
    'intersect',
    (db) => intersect(named(db), named(db).where(eq(owner.id, 2))),
    [{ name: 'Grace' }],
  ],
  ['except', (db) => except(named(db), named(db).where(eq(owner.id, 2))), [{ name: 'Ada' }]],
  [
    'a common table expression',
    (db) => {
      const rich = db.$with('rich').as(db.select().from(account).where(gt(account.cents, 1)));
      return db
        .with(rich)
        .select({ name: owner.name })
        .from(rich)
        .innerJoin(owner, eq(owner.id, rich.ownerId));
    },
    [{ name: 'Grace' }],
  ],
  [
    'a subquery',
    (db) =>
      named(db).where(
        inArray(
          owner.id,
          db.select({ id: account.ownerId }).from(account).where(lt(account.cents, 1)),
        ),
      ),
    [{ name: 'Ada' }],
  ],
];

const relational: Case[] = [
  ['findMany', (db) => db.query.owner.findMany(), [ADA, GRACE]],
  ['findFirst', (db) => db.query.owner.findFirst({ where: eq(owner.id, 2) }), GRACE],
  ['findFirst of nothing', (db) => db.query.owner.findFirst({ where: eq(owner.id, 9) }), undefined],
  [
    'relations of relations',
    (db) =>
      db.query.owner.findFirst({
        columns: { name: true },
        with: { inviter: { columns: { name: true }, with: { accounts: true } } },
        orderBy: desc(owner.id),
      }),
    { name: 'Grace', inviter: { name: 'Ada', accounts: [{ id: 1, ownerId: 1, cents: 0 }] } },
  ],
  [
    'extras',
    (db) =>
      db.query.owner.findMany({
        columns: {},
        extras: { loud: sql<string>`upper(${owner.name})`.as('loud') },
      }),
    [{ loud: 'ADA' }, { loud: 'GRACE' }],
  ],
  [
    'limit and offset',
    (db) =>
      db.query.owner.findMany({
        columns: { id: true },
        limit: 1,
        offset: 1,
        orderBy: asc(owner.id),
      }),
    [{ id: 2 }],
  ],
];

const prepared: Case[] = [
  ['select', (db) => db.select().from(owner).where(byId).prepare().all({ id: 1 }), [ADA]],
  ['select get', (db) => db.select().from(owner).where(byId).prepare().get({ id: 2 }), GRACE],
  [
    'select execute',
    (db) => db.select().from(owner).where(byId).prepare().execute({ id: 2 }),
    [GRACE],
  ],
  ['select values', (db) => named(db).where(byId).prepare().values({ id: 2 }), [['Grace']]],
  [
    'insert, through the encoder of the column',
    (db) =>
      db
        .insert(owner)
        .values({ name: sql.placeholder('name') })
        .returning({ name: owner.name })
        .prepare()
        .get({ name: 'x' }),
    { name: 'x' },
  ],
  [
    'insert run',
    (db) =>
      db
        .insert(owner)
        .values({ name: sql.placeholder('name') })
        .prepare()
        .run({ name: 'x' }),
    { changes: 1, lastInsertRowid: 3 },
  ],
  [
    'delete',
    (db) =>
      db
        .delete(account)
        .where(eq(account.id, sql.placeholder('id')))
        .prepare()
        .execute({ id: 1 }),
    expect.objectContaining({ changes: 1 }),
  ],
  [
    'findMany',
    (db) => db.query.owner.findMany({ where: byId }).prepare().execute({ id: 1 }),
    [ADA],
  ],
  ['findFirst', (db) => db.query.owner.findFirst({ where: byId }).prepare().get({ id: 2 }), GRACE],
];

tryCases('selects', selects);
tryCases('relational queries', relational);
tryCases('prepared queries', prepared);

test('a prepared query runs as often as it likes, from many callers at once', async () => {
  const { db } = await freshBank();
  const query = named(db).where(byId).prepare();
  const ids = Array.from({ length: 200 }, (_, n) => (n % 2) + 1);
  const rows = await Promise.all(ids.map((id) => query.get({ id })));
  expect(rows.map((row) => row?.name)).toEqual(ids.map((id) => (id === 1 ? 'Ada' : 'Grace')));
});

test('views', async () => {
  const { db, pool } = await freshBank();
  await pool.exec('CREATE VIEW rich AS SELECT owner_id, cents FROM account WHERE cents > 100');
  const rich = sqliteView('rich').as((qb) =>
    qb.select({ ownerId: account.ownerId, cents: account.cents }).from(account),
  );
  expect(await db.select().from(rich)).toEqual([{ ownerId: 2, cents: 500 }]);
});

test('a read does not overtake the writes that were issued before it', async () => {
  const { db } = await freshBank();
  for (let n = 0; n < 50; n++) {
    const write = db.insert(account).values({ cents: n }).run();
    expect(await db.$count(account)).toBe(3 + n);
    await write;
  }
});

test('a many-to-many relation through a table of pairs', async () => {
  const { pool } = await freshBank();
  const tag = sqliteTable('tag', { name: text().primaryKey() });
  const tagged = sqliteTable('tagged', {
    a: text().references(() => tag.name),
    b: text().references(() => tag.name),
  });
  const tagRelations = relations(tag, ({ many }) => ({ pairs: many(tagged) }));
  const taggedRelations = relations(tagged, ({ one }) => ({
    a: one(tag, { fields: [tagged.a], references: [tag.name] }),
  }));
  const { drizzle } = await import('@poolite/drizzle');
  const db = drizzle(pool, { schema: { tag, tagged, tagRelations, taggedRelations } });
  await pool.exec(`CREATE TABLE tag (name TEXT PRIMARY KEY); CREATE TABLE tagged (a TEXT, b TEXT);
    INSERT INTO tag VALUES ('x'), ('y'); INSERT INTO tagged VALUES ('x', 'y'), ('x', 'x')`);
  expect(await db.query.tag.findMany({ with: { pairs: { columns: { b: true } } } })).toEqual([
    { name: 'x', pairs: [{ b: 'y' }, { b: 'x' }] },
    { name: 'y', pairs: [] },
  ]);
});
