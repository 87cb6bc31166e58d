// Makes the package of each platform from the extensions that the release built, and names them in
// the manifest of this package as optional: `node scripts/manifests.ts <folder of extensions> <out>`.
// In the folder of extensions each platform has a folder of its own, by its name.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { fileName, PLATFORMS } from '../src/platform.ts';
import { type OwnManifest, platformPackage } from './platform-package.ts';

const [built = '', out = ''] = process.argv.slice(2);
const manifest = fileURLToPath(new URL('../package.json', import.meta.url));
const own = JSON.parse(readFileSync(manifest, 'utf8')) as OwnManifest;

const names = PLATFORMS.map((platform) =>
  platformPackage(own, platform, join(built, platform, fileName(platform)), join(out, platform)),
);
const optionalDependencies = Object.fromEntries(names.map((name) => [name, own.version]));
writeFileSync(manifest, `${JSON.stringify({ ...own, optionalDependencies }, null, 2)}\n`);
