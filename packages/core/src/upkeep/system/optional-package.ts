import { createRequire } from 'node:module';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

/** The file that a name leads to: from this package, or, where all is one bundle, from the
 * application's folder; undefined where nothing of that name is installed. */
export function resolveOptional(name: string): string | undefined {
  const application = pathToFileURL(join(process.cwd(), 'index.js')).href;
  for (const from of [import.meta.url, application]) {
    try {
      return createRequire(from).resolve(name);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'MODULE_NOT_FOUND') throw error;
    }
  }
  return undefined;
}

/** Loads a package that not everybody needs; undefined where it is not installed. */
export async function loadOptional(name: string): Promise<unknown> {
  const file = resolveOptional(name);
  if (file === undefined) return undefined;
  const loaded = (await import(pathToFileURL(file).href)) as { default?: unknown };
  // The names of a CommonJS package may all be below its default export.
  return loaded.default ?? loaded;
}
