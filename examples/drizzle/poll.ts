import { asc, desc, eq } from 'drizzle-orm';
import type { Database } from './database.ts';
import { option, vote } from './schema.ts';

const FIRST = ['Ada', 'Edsger', 'Grace'];

/** Adds the first options where there are none. */
export async function prepare(db: Database): Promise<void> {
  await db.transaction(async (tx) => {
    if ((await tx.$count(option)) > 0) return;
    await tx.insert(option).values(FIRST.map((name) => ({ name })));
  });
}

/** The standing: both counts come from one state of the database, whoever votes meanwhile. */
export function standing(db: Database) {
  return db.transaction(
    async (tx) => {
      const options = await tx.query.option.findMany({
        orderBy: [desc(option.votes), asc(option.name)],
      });
      const latest = await tx.query.vote.findFirst({
        columns: { castAt: true },
        with: { option: { columns: { name: true } } },
        orderBy: desc(vote.id),
      });
      return { options, latest, cast: await tx.$count(vote) };
    },
    { accessMode: 'read only' },
  );
}

export type Standing = Awaited<ReturnType<typeof standing>>;

/** Votes, and gives the option's votes; undefined where there is no such option. */
export function castVote(db: Database, optionId: number): Promise<number | undefined> {
  return db.transaction(async (tx) => {
    const found = await tx.select().from(option).where(eq(option.id, optionId)).get();
    if (found === undefined) return undefined;
    // Nobody else can have voted since it was read: the transaction has the writer.
    const votes = found.votes + 1;
    await tx.update(option).set({ votes }).where(eq(option.id, optionId));
    await tx.insert(vote).values({ optionId });
    return votes;
  });
}

/** Adds an option; false where it is there already. */
export async function addOption(db: Database, name: string): Promise<boolean> {
  const added = await db.insert(option).values({ name }).onConflictDoNothing();
  return added.changes === 1;
}
