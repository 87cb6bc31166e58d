// Makes the package of each platform from the extensions that the release built, and names them in
// the manifest of this package as optional: `node scripts/manifests.ts <folder of extensions> <out>`.
// In the folder of extensions each platform has a folder of its own, by its name.
import { copyFileSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { fileName, PLATFORMS } from '../src/platform.ts';

const [built = '', out = ''] = process.argv.slice(2);
const manifest = fileURLToPath(new URL('../package.json', import.meta.url));
const own = JSON.parse(readFileSync(manifest, 'utf8'));
const { version, license, author, engines, publishConfig } = own;
const optional: Record<string, string> = {};

for (const platform of PLATFORMS) {
  const [system = '', cpu = ''] = platform.split('-');
  const file = join(built, platform, fileName(platform));
  if (!existsSync(file)) throw new Error(`the extension for ${platform} is missing: ${file}`);
  const name = `@poolite/hooks-${platform}`;
  const folder = join(out, platform);
  mkdirSync(folder, { recursive: true });
  copyFileSync(file, join(folder, fileName(platform)));
  const os = system.replace('musl', '');
  const libc = os === 'linux' ? { libc: [system === 'linux' ? 'glibc' : 'musl'] } : {};
  const description = `The extension of @poolite/hooks for ${platform}`;
  const files = [fileName(platform)];
  const common = { license, author, engines, publishConfig };
  const content = { name, version, description, ...common, os: [os], cpu: [cpu], ...libc, files };
  writeFileSync(join(folder, 'package.json'), `${JSON.stringify(content, null, 2)}\n`);
  optional[name] = version;
}
writeFileSync(manifest, `${JSON.stringify({ ...own, optionalDependencies: optional }, null, 2)}\n`);
