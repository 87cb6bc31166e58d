import { randomUUID } from 'node:crypto';
import { createRequire } from 'node:module';
import { isAbsolute, join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { setEnvironmentData } from 'node:worker_threads';
import type { BetterSqlite3DataSourceOptions } from 'typeorm/driver/better-sqlite3/BetterSqlite3DataSourceOptions.js';
import { recorded, type Step } from './recorder.js';

/** A database file that every connection attaches, and its name there. */
export type Attachment = readonly [name: string, path: string];

/** Names the module that prepares each connection; undefined where there is nothing to prepare. */
export type Preparation = (
  setup: string | undefined,
  attachments: readonly Attachment[],
) => string | undefined;

/** Calls `prepareDatabase`, if there is one, and keeps what it asks for. */
export async function prepared(options: BetterSqlite3DataSourceOptions): Promise<Preparation> {
  const { key, prepareDatabase } = options;
  const steps = prepareDatabase === undefined ? [] : await recorded(prepareDatabase);
  return (setup, attachments) => {
    if (key === undefined && steps.length === 0 && attachments.length === 0) return setup;
    return moduleOf({ key, steps, attachments }, setup);
  };
}

interface Work {
  readonly key: string | undefined;
  readonly steps: readonly Step[];
  readonly attachments: readonly Attachment[];
}

/** What threads find by a name, by its text: the same work has the same name, and so the same pool. */
const names = new Map<string, string>();

/**
 * Leaves the work where threads that start later find it. It stands in no module's text, since that
 * is the module's address, which errors show: the key must not be seen there.
 */
function nameOf(work: Work): string {
  const text = JSON.stringify(work);
  let name = names.get(text);
  if (name === undefined) {
    name = `poolite.typeorm.${randomUUID()}`;
    names.set(text, name);
    setEnvironmentData(name, text);
  }
  return name;
}

/**
 * A pool's connections are on threads of their own, which can load a module, and nothing else: so
 * this one is written here. It runs the user's own first, but for the key.
 */
function moduleOf(work: Work, setup: string | undefined): string {
  const source = `
${setup === undefined ? 'const loaded = undefined;' : `import * as loaded from ${JSON.stringify(urlOf(setup))};`}
import { getEnvironmentData } from 'node:worker_threads';
const { key, steps, attachments } = JSON.parse(getEnvironmentData('${nameOf(work)}'));
const prepare = loaded?.default?.default ?? loaded?.default;
export default function (db, context) {
  const writes = context.access === 'write';
  if (key !== undefined) {
    db.pragma("key = '" + key.replaceAll("'", "''") + "'");
    const tells = (name) => db.pragma(name).length > 0;
    if (!tells('cipher') && !tells('cipher_version')) {
      throw new Error("option 'key': this build of SQLite does not encrypt; name one that does, " +
        "as in poolite({ driver: 'better-sqlite3-multiple-ciphers' })");
    }
  }
  prepare?.(db, context);
  for (const { method, args, onWriter } of steps) if (writes || !onWriter) db[method](...args);
  for (const [name, path] of attachments) {
    const quoted = '"' + name.replaceAll('"', '""') + '"';
    db.prepare('ATTACH ? AS ' + quoted).run(path);
    if (writes && !db.readonly) db.pragma(quoted + '.journal_mode = WAL');
  }
}
`;
  return `data:text/javascript,${encodeURIComponent(source)}`;
}

/** Where the core would find the module. A module of text can import by URL only. */
function urlOf(setup: string): string {
  if (/^(?:file|data|node):/.test(setup)) return setup;
  if (setup.startsWith('.') || isAbsolute(setup)) return pathToFileURL(resolve(setup)).href;
  return pathToFileURL(createRequire(join(process.cwd(), 'index.js')).resolve(setup)).href;
}
