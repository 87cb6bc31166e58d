import { isDeepStrictEqual } from 'node:util';
import { newBackups } from './backing-up.js';
import { newCheckpoints } from './checkpointing.js';
import { Database } from './database.js';
import { Holders } from './holders.js';
import { StatsSocket } from './observing/stats-socket.js';
import { OneShot } from './one-shot.js';
import type { ResolvedOptions } from './options.js';
import { readStats } from './read-stats.js';
import { isMemory } from './threads/connection.js';
import { identity, useFile } from './threads/one-engine.js';

/** The options that two pools must agree on; their paths may differ and lead to one file. */
function withoutFile(options: ResolvedOptions): unknown {
  const { file, connection, backups, ...rest } = options;
  const { file: path, ...connectionRest } = connection;
  // A store that a hot reload makes anew is the same where it is in the same place.
  const store = options.store && { ...options.store, store: options.store.store.where };
  // A function that a hot reload makes anew is the same option: see `takeOver`.
  return {
    ...rest,
    ...connectionRest,
    store,
    backups: backups && { ...backups, onError: undefined },
  };
}

/** An open database, and what all pools on it have in common. */
export interface Opened {
  readonly database: Database;
  readonly oneShot: OneShot;
  readonly holders: Holders;
  /** Where others see its statistics, by the option of the same name. */
  readonly statsSocket: StatsSocket | undefined;
}

interface Entry extends Opened {
  /** Pools that share it. */
  pools: number;
}

/** Kept on the global object, so that copies of this module made by a hot reload find it too. */
const KEY = Symbol.for('poolite.databases.1');

function entries(): Map<string, Entry[]> {
  const home = globalThis as { [KEY]?: Map<string, Entry[]> };
  home[KEY] ??= new Map();
  return home[KEY];
}

function open(options: ResolvedOptions): Opened {
  const { file, driver } = options.connection;
  const unused = useFile(file, driver);
  const database = new Database(options);
  database.onClosed = unused;
  const oneShot: OneShot = new OneShot(database, (sql, work, options) =>
    holders.alone('script', sql, work, options),
  );
  const holders: Holders = new Holders(
    database,
    (sql) => oneShot.refuseSelfWait(sql),
    () => oneShot.writesBefore(),
  );
  database.checkpoints = newCheckpoints(database, holders);
  database.backups = newBackups(database, holders, oneShot);
  return { database, oneShot, holders, statsSocket: serveStats(database, oneShot) };
}

/** The socket is there when the pool is ready, for its file must exist. */
function serveStats(database: Database, oneShot: OneShot): StatsSocket | undefined {
  const { statsSocket: place, connection } = database.options;
  if (place === false) return undefined;
  const socket = new StatsSocket(place, connection.file, () => readStats(database, oneShot));
  database.ready.then(
    () => socket.open(),
    () => {}, // ready() tells it to whoever asks.
  );
  return socket;
}

/** A pool's share of an open database. */
export interface Share extends Opened {
  /** Gives the share back; true where it was the last, so that the database must be closed. */
  release(): boolean;
}

/**
 * The rule for a second pool on a file that this process has open: with the same options it
 * shares the threads of the first, which end with the last pool; with others it has threads of
 * its own, like another process. Databases in memory are never shared.
 */
export function share(options: ResolvedOptions): Share {
  const { file } = options.connection;
  // A server is one that whoever started it ends.
  const isServer = options.sharing?.mustWrite === true;
  if (isMemory(file) || isServer) return { ...open(options), release: () => true };
  const key = identity(file);
  const all = entries();
  const others = all.get(key) ?? [];
  let entry = others.find(
    ({ database }) =>
      database.refusal === undefined &&
      isDeepStrictEqual(withoutFile(database.options), withoutFile(options)),
  );
  if (entry === undefined) {
    entry = { ...open(options), pools: 0 };
    all.set(key, [...others, entry]);
  }
  const mine = entry;
  mine.database.backups?.takeOver(options.backups);
  mine.pools++;
  return {
    database: mine.database,
    oneShot: mine.oneShot,
    holders: mine.holders,
    statsSocket: mine.statsSocket,
    release: () => {
      if (--mine.pools > 0) return false;
      const rest = (all.get(key) ?? []).filter((each) => each !== mine);
      if (rest.length === 0) all.delete(key);
      else all.set(key, rest);
      return true;
    },
  };
}
