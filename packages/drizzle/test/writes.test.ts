import { eq, gt, inArray, sql } from 'drizzle-orm';
import { expect } from 'vitest';
import { ADA, type Case, tryCases } from './support/cases.ts';
import { account, owner } from './support/db.ts';

const writes: Case[] = [
  [
    'insert',
    (db) => db.insert(owner).values({ name: 'Edsger' }),
    { changes: 1, lastInsertRowid: 3 },
  ],
  [
    'insert many',
    (db) =>
      db
        .insert(owner)
        .values([{ name: 'a' }, { name: 'b' }])
        .run(),
    { changes: 2, lastInsertRowid: 4 },
  ],
  [
    'insert returning',
    (db) => db.insert(owner).values({ name: 'Edsger' }).returning(),
    [{ id: 3, name: 'Edsger', invitedBy: null }],
  ],
  [
    'insert returning get',
    (db) => db.insert(owner).values({ name: 'a' }).returning({ n: owner.id }).get(),
    { n: 3 },
  ],
  [
    'insert returning values',
    (db) => db.insert(owner).values({ name: 'a' }).returning({ n: owner.id }).values(),
    [[3]],
  ],
  [
    'insert from a select',
    (db) =>
      db.insert(owner).select(
        db
          .select({
            id: sql<number>`id + 7`.as('id'),
            name: owner.name,
            invitedBy: owner.invitedBy,
          })
          .from(owner),
      ),
    { changes: 2, lastInsertRowid: 9 },
  ],
  [
    'a conflict that does nothing',
    (db) => db.insert(owner).values(ADA).onConflictDoNothing().returning(),
    [],
  ],
  [
    'a conflict that updates',
    (db) =>
      db
        .insert(owner)
        .values(ADA)
        .onConflictDoUpdate({ target: owner.id, set: { name: 'Countess' } })
        .returning({ name: owner.name }),
    [{ name: 'Countess' }],
  ],
  [
    'update',
    (db) => db.update(account).set({ cents: sql`${account.cents} + 1` }),
    expect.objectContaining({ changes: 2 }),
  ],
  [
    'update returning',
    (db) =>
      db
        .update(account)
        .set({ cents: 7 })
        .where(eq(account.id, 1))
        .returning({ cents: account.cents }),
    [{ cents: 7 }],
  ],
  [
    'delete',
    (db) => db.delete(account).where(eq(account.id, 1)),
    expect.objectContaining({ changes: 1 }),
  ],
  [
    'delete returning',
    (db) => db.delete(account).returning({ id: account.id }).all(),
    [{ id: 1 }, { id: 2 }],
  ],
  [
    'a common table expression that writes',
    (db) => {
      const rich = db
        .$with('rich')
        .as(db.select({ id: account.id }).from(account).where(gt(account.cents, 1)));
      return db
        .with(rich)
        .delete(account)
        .where(inArray(account.id, sql`(select id from rich)`))
        .returning({ id: account.id });
    },
    [{ id: 2 }],
  ],
];

const raw: Case[] = [
  [
    'run',
    (db) => db.run(sql`DELETE FROM account WHERE cents < ${1}`),
    expect.objectContaining({ changes: 1 }),
  ],
  [
    'run of a text',
    (db) => db.run('UPDATE account SET cents = 1'),
    expect.objectContaining({ changes: 2 }),
  ],
  [
    'all',
    (db) => db.all(sql`SELECT id, name FROM owner`),
    [
      { id: 1, name: 'Ada' },
      { id: 2, name: 'Grace' },
    ],
  ],
  ['get', (db) => db.get(sql`SELECT name FROM owner WHERE id = ${2}`), { name: 'Grace' }],
  ['get of nothing', (db) => db.get(sql`SELECT name FROM owner WHERE id = ${9}`), undefined],
  [
    'values',
    (db) => db.values(sql`SELECT id, name AS id FROM owner`),
    [
      [1, 'Ada'],
      [2, 'Grace'],
    ],
  ],
  [
    'all of a write that returns',
    (db) => db.all('DELETE FROM account RETURNING id'),
    [{ id: 1 }, { id: 2 }],
  ],
  [
    'get of a write that returns',
    (db) => db.get('UPDATE account SET cents = 9 RETURNING cents'),
    { cents: 9 },
  ],
  [
    'values of a write that returns',
    (db) => db.values('DELETE FROM account RETURNING id, id'),
    [
      [1, 1],
      [2, 2],
    ],
  ],
  ['all of a write that does not', (db) => db.all('DELETE FROM account'), []],
  ['get of a write that does not', (db) => db.get('DELETE FROM account'), undefined],
  ['values of a write that does not', (db) => db.values('DELETE FROM account'), []],
  ['all of a setting', (db) => db.all('PRAGMA user_version = 3'), []],
  [
    'all of a setting that answers',
    (db) => db.all('PRAGMA journal_mode = WAL'),
    [{ journal_mode: 'wal' }],
  ],
  ['values of a setting that answers', (db) => db.values('PRAGMA journal_mode = WAL'), [['wal']]],
  [
    'a query of a builder',
    (db) => db.all(db.select({ n: owner.name }).from(owner)),
    [{ name: 'Ada' }, { name: 'Grace' }],
  ],
  [
    'a boolean, as libsql takes it',
    (db) => db.get(sql`SELECT ${true} AS yes, ${false} AS no`),
    { yes: 1, no: 0 },
  ],
  ['a date, as libsql takes it', (db) => db.get(sql`SELECT ${new Date(7)} AS at`), { at: 7 }],
];

tryCases('writes', writes);
tryCases('raw queries', raw);
