/** Where a contender is found: a process of its own loads it, so that no two copies of SQLite meet. */
export interface Entry {
  name: string;
  /** The module that exports it among its `contenders`. */
  module: URL;
  /** The package under test/bench/peers that it needs. */
  peer?: string;
  /** The entry that its ratio is against; default: the first. */
  against?: string;
  /** The contender's name in its module, where the entry has another. */
  base?: string;
  /** Whether its writes wait for one another in the caller's code. */
  inTurn?: true;
}

const here = (file: string) => new URL(`./${file}.ts`, import.meta.url);
const peer = (name: string, file: string): Entry => ({
  name,
  module: new URL(`../peers/${file}.ts`, import.meta.url),
  peer: name,
});

/** The first is the baseline of every work. */
export const LIBRARIES: readonly Entry[] = [
  { name: 'better-sqlite3', module: here('better-sqlite3') },
  { name: 'poolite', module: here('poolite') },
  { name: 'node:sqlite', module: here('node-sqlite') },
  peer('sqlite3', 'sqlite3'),
  peer('libsql', 'libsql'),
  { name: '@libsql/client', module: here('libsql-client') },
  peer('@tursodatabase/database', 'turso'),
  peer('@matteo.collina/sqlite-pool', 'sqlite-pool'),
  peer('@powersync/node', 'powersync'),
];

export const ORMS: readonly Entry[] = [
  { name: 'kysely, SqliteDialect', module: here('kysely') },
  { name: '@poolite/kysely', module: here('kysely'), against: 'kysely, SqliteDialect' },
  { name: 'drizzle-orm/better-sqlite3', module: here('drizzle') },
  { name: 'drizzle-orm/libsql', module: here('drizzle') },
  { name: '@poolite/drizzle', module: here('drizzle'), against: 'drizzle-orm/better-sqlite3' },
  { name: 'typeorm, better-sqlite3', module: here('typeorm') },
  { name: '@poolite/typeorm', module: here('typeorm'), against: 'typeorm, better-sqlite3' },
];
