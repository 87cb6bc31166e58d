import { relations, sql } from 'drizzle-orm';
import { index, integer, sqliteTable, text } from 'drizzle-orm/sqlite-core';

/** What can be voted for. */
export const option = sqliteTable('option', {
  id: integer().primaryKey(),
  name: text().notNull().unique(),
  votes: integer().notNull().default(0),
});

/** Each vote by itself: there must be as many as the options count. */
export const vote = sqliteTable(
  'vote',
  {
    id: integer().primaryKey(),
    optionId: integer()
      .notNull()
      .references(() => option.id, { onDelete: 'cascade' }),
    castAt: integer({ mode: 'timestamp_ms' }).notNull().default(sql`(unixepoch('subsec') * 1000)`),
  },
  (table) => [index('vote_option').on(table.optionId)],
);

export const optionRelations = relations(option, ({ many }) => ({ votesCast: many(vote) }));

export const voteRelations = relations(vote, ({ one }) => ({
  option: one(option, { fields: [vote.optionId], references: [option.id] }),
}));
