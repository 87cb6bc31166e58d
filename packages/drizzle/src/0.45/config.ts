import { createPool, type Pool, PoolError, type PoolOptions } from '@poolite/core';
import type { DrizzleConfig } from 'drizzle-orm';

/** A pool that `drizzle` makes: the path of the file, and the options of `createPool`. */
export interface PooliteConnection extends PoolOptions {
  /** The path of the database file; `':memory:'` is a database in memory. */
  file: string;
}

/** The config of `drizzle({ … })`: Drizzle's own, and where the pool comes from. */
export type PooliteDrizzleConfig<TSchema extends Record<string, unknown> = Record<string, never>> =
  DrizzleConfig<TSchema> &
    (
      | {
          /** A pool that there is: it stays open until you close it. */
          pool: Pool;
          /** Not beside `pool`. */
          client?: never;
          /** Not beside `pool`. */
          connection?: never;
        }
      | {
          /** A pool that there is, by Drizzle's usual name. */
          client: Pool;
          /** Not beside `client`. */
          pool?: never;
          /** Not beside `client`. */
          connection?: never;
        }
      | {
          /** The path of a database file, or `{ file, ...options }` of a pool to be made. */
          connection: string | PooliteConnection;
          /** Not beside `connection`. */
          pool?: never;
          /** Not beside `connection`. */
          client?: never;
        }
    );

const KNOWN = ['pool', 'client', 'connection', 'schema', 'casing', 'logger', 'cache'];
const SOURCES = ['pool', 'client', 'connection'] as const;

/** Sorts out what `drizzle` was given; opens a pool where it was given none. */
export function openConfig(
  first: unknown,
  second: unknown,
): [Pool, DrizzleConfig<Record<string, unknown>>] {
  if (typeof first === 'string' || isPool(first)) {
    // Nothing is opened for a config that is refused.
    const config = checkConfig(second, []);
    return [typeof first === 'string' ? openPool(first) : first, config];
  }
  if (typeof first !== 'object' || first === null) {
    refuse(`drizzle needs a pool, the path of a database file, or a config, not ${shown(first)}`);
  }
  const { pool, client, connection, ...config } = first as Record<string, unknown>;
  checkConfig(first, SOURCES);
  const given = SOURCES.filter((name) => (first as Record<string, unknown>)[name] !== undefined);
  if (given.length !== 1) {
    const found = given.length === 0 ? 'none' : `'${given.join("' and '")}'`;
    refuse(`drizzle needs one of 'pool', 'client' and 'connection', and was given ${found}`);
  }
  if (connection !== undefined) return [openConnection(connection), config];
  const mine = pool ?? client;
  if (!isPool(mine)) refuse(`option '${given[0]}' must be a pool, made by createPool()`);
  return [mine, config];
}

function checkConfig(
  config: unknown,
  sources: readonly string[],
): DrizzleConfig<Record<string, unknown>> {
  if (config === undefined) return {};
  if (typeof config !== 'object' || config === null) {
    refuse(`the config of drizzle must be an object, not ${shown(config)}`);
  }
  for (const name of Object.keys(config)) {
    if ((SOURCES as readonly string[]).includes(name) && !sources.includes(name)) {
      refuse(`option '${name}' contradicts the first argument of drizzle, which is the database`);
    }
    if (!KNOWN.includes(name)) {
      refuse(
        `unknown option '${name}' of drizzle; known: ${KNOWN.join(', ')}. Options of the pool ` +
          "belong to createPool(), or into 'connection'",
      );
    }
  }
  return config;
}

function openConnection(connection: unknown): Pool {
  if (typeof connection === 'string') return openPool(connection);
  const { file, ...options } = (connection ?? {}) as Partial<PooliteConnection>;
  if (typeof file !== 'string') {
    refuse("option 'connection' must be a path, or { file, ...options of createPool }");
  }
  return openPool(file, options);
}

/**
 * Code that comes from libsql names its file by a URL, and such a path SQLite would take literally.
 * One with parameters is SQLite's own: https://sqlite.org/uri.html
 */
function openPool(file: string, options?: PoolOptions): Pool {
  const scheme = /^(libsql|https?|wss?):/i.exec(file)?.[1];
  if (scheme !== undefined) {
    refuse(`a pool opens a file of this machine, not a server (${scheme}:): ${file}`);
  }
  if (!/^file:[^?#]*$/i.test(file)) return createPool(file, options);
  const path = file.slice('file:'.length).replace(/^\/\/(?:localhost)?(?=\/)/i, '');
  if (path.startsWith('//')) refuse(`a pool opens a file of this machine, not of a host: ${file}`);
  return createPool(decodeURIComponent(path), options);
}

/** Of whatever copy of the core. */
function isPool(value: unknown): value is Pool {
  if (typeof value !== 'object' || value === null) return false;
  return typeof (value as Pool).lease === 'function' && typeof (value as Pool).file === 'string';
}

function shown(value: unknown): string {
  return value === null ? 'null' : typeof value;
}

function refuse(message: string): never {
  throw new PoolError('POOL_OPTIONS', message);
}
