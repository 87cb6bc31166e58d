import { copyFileSync, existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileName } from '../src/platform.ts';

/** What a package of a platform has from the manifest of `@poolite/hooks`. */
export interface OwnManifest {
  readonly version: string;
  readonly license?: unknown;
  readonly author?: unknown;
  readonly repository?: unknown;
  readonly engines?: unknown;
  readonly publishConfig?: unknown;
}

/**
 * Makes the package that holds the extension for a platform, in a folder of its own, and gives its
 * name.
 *
 * @param own - The manifest of `@poolite/hooks`.
 * @param file - The extension, as it was built for the platform.
 */
export function platformPackage(
  own: OwnManifest,
  platform: string,
  file: string,
  folder: string,
): string {
  if (!existsSync(file)) throw new Error(`the extension for ${platform} is missing: ${file}`);
  const { version, license, author, engines, publishConfig, repository } = own;
  const [system = '', cpu = ''] = platform.split('-');
  const name = `@poolite/hooks-${platform}`;
  mkdirSync(folder, { recursive: true });
  copyFileSync(file, join(folder, fileName(platform)));
  const os = system.replace('musl', '');
  const libc = os === 'linux' ? { libc: [system === 'linux' ? 'glibc' : 'musl'] } : {};
  const description = `The extension of @poolite/hooks for ${platform}`;
  const files = [fileName(platform)];
  const common = { license, author, repository, engines, publishConfig };
  const content = { name, version, description, ...common, os: [os], cpu: [cpu], ...libc, files };
  writeFileSync(join(folder, 'package.json'), `${JSON.stringify(content, null, 2)}\n`);
  return name;
}
