import { classify } from '@poolite/core';
import { refuse } from './errors.js';

/** A call that every new connection repeats. */
export interface Step {
  readonly method: 'pragma' | 'exec' | 'loadExtension';
  readonly args: readonly unknown[];
  /** It writes: only the writer's connection can. */
  readonly onWriter: boolean;
}

type PrepareDatabase = (db: unknown) => void | Promise<void>;

/** What `prepareDatabase` calls on its database: what can be repeated, and nothing else. */
export async function recorded(prepareDatabase: PrepareDatabase): Promise<Step[]> {
  const steps: Step[] = [];
  const methods: Record<string, (...args: unknown[]) => unknown> = {
    pragma: (text, options) => {
      if (pragma(String(text)) !== undefined) {
        steps.push({ method: 'pragma', args: [text, options], onWriter: false });
      }
      return [];
    },
    exec: (script) => {
      const onWriter = classify(String(script)).kind === 'write';
      steps.push({ method: 'exec', args: [script], onWriter });
      return db;
    },
    loadExtension: (...args) => {
      steps.push({ method: 'loadExtension', args, onWriter: false });
      return db;
    },
  };
  const db: unknown = new Proxy(methods, {
    get: (target, name) => {
      if (name === 'then' || typeof name === 'symbol') return undefined;
      return Object.hasOwn(target, name) ? target[name] : cannot(`db.${name}`);
    },
    set: (_, name) => cannot(`db.${String(name)} = …`),
  });
  await prepareDatabase(db);
  return steps;
}

/** The pragma, where it is one that connections can repeat; undefined where there is no need to. */
function pragma(text: string): string | undefined {
  const [, name = '', value] =
    /^\s*(?:\w+\s*\.\s*)?(\w+)\s*(?:[=(]\s*['"]?(\w*))?/.exec(text) ?? [];
  if (value === undefined) cannot(`asking for PRAGMA ${text}`);
  const lower = name.toLowerCase();
  if (lower === 'busy_timeout') {
    refuse("prepareDatabase sets busy_timeout: use the option 'timeout' of the data source");
  }
  if (lower !== 'journal_mode') return text;
  if (value?.toLowerCase() !== 'wal') refuse('prepareDatabase sets journal_mode: a pool needs WAL');
  return undefined;
}

function cannot(what: string): never {
  return refuse(
    `option 'prepareDatabase': it runs once, and a pool has many connections, on threads that no ` +
      `function can go to. What it calls of pragma(), exec() and loadExtension() is repeated on ` +
      `each of them, but ${what} cannot be: move it to a module, and name that as ` +
      `poolite({ setup: './setup.js' })`,
  );
}
