import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { fileName, PLATFORMS, platformHere } from './platform.js';

/**
 * What SQLite calls when it loads the extension: the second argument of better-sqlite3's
 * `loadExtension`.
 */
export const entryPoint = 'sqlite3_poolitehooks_init';

let found: string | undefined;

/**
 * The path of the extension for this machine: from the package of its platform, or, in a checkout,
 * as the build made it with the machine's own compiler.
 *
 * @throws Error where there is none for this machine, or its package is not installed.
 *
 * @example
 * ```ts
 * import { extensionFile } from '@poolite/hooks';
 *
 * try {
 *   console.log(extensionFile());
 * } catch (error) {
 *   console.log(String(error));
 * }
 * ```
 */
export function extensionFile(): string {
  found ??= find();
  return found;
}

function find(): string {
  const name = fileName(process.platform);
  const built = fileURLToPath(new URL(name, import.meta.url));
  if (existsSync(built)) return built;
  const platform = platformHere();
  const wanted = `@poolite/hooks-${platform}`;
  try {
    return createRequire(import.meta.url).resolve(`${wanted}/${name}`);
  } catch (error) {
    const why = (PLATFORMS as readonly string[]).includes(platform)
      ? `the optional package ${wanted} is not installed`
      : `there is none for ${platform}`;
    throw new Error(`no extension for this machine: ${why}`, { cause: error });
  }
}
