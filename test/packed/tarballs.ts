import { execFileSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { platformPackage } from '../../packages/hooks/scripts/platform-package.ts';
import { fileName, platformHere } from '../../packages/hooks/src/platform.ts';

export const root = fileURLToPath(new URL('../../', import.meta.url));

export interface Manifest {
  readonly name: string;
  readonly version: string;
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly devDependencies?: Readonly<Record<string, string>>;
  readonly peerDependencies?: Readonly<Record<string, string>>;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
}

export function manifest(folder: string): Manifest {
  return JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as Manifest;
}

/** The folders of the packages that are published. */
export function published(): string[] {
  const folders = readdirSync(join(root, 'packages'));
  return folders.map((name) => join(root, 'packages', name));
}

function pack(folder: string, into: string): string {
  const before = new Set(readdirSync(into));
  // Through the shell, for on Windows pnpm is a script.
  const command = `pnpm pack --pack-destination "${into}"`;
  execFileSync(command, { cwd: folder, shell: true, stdio: 'pipe' });
  const made = readdirSync(into).filter((name) => !before.has(name));
  const [name] = made;
  if (made.length !== 1 || name === undefined) throw new Error(`${folder}: made ${made}`);
  return join(into, name);
}

/**
 * Packs all packages, as the release does: that of the extension with the package of this
 * machine's platform, where the extension was built here.
 *
 * @returns The path of each tarball, by the name of its package.
 */
export function packAll(folder: string): Record<string, string> {
  const into = join(folder, 'tarballs');
  mkdirSync(into, { recursive: true });
  const tarballs: Record<string, string> = {};
  for (const home of published()) {
    const own = manifest(home);
    const built = join(home, 'dist', fileName(process.platform));
    if (own.name !== '@poolite/hooks' || !existsSync(built)) {
      tarballs[own.name] = pack(home, into);
      continue;
    }
    const platform = join(folder, 'platform');
    const name = platformPackage(own, platformHere(), built, platform);
    tarballs[name] = pack(platform, into);
    // A copy, since the release writes the names of the platforms' packages into the manifest.
    const copy = join(folder, 'hooks');
    for (const part of ['dist', 'src', 'README.md', 'LICENSE']) {
      cpSync(join(home, part), join(copy, part), { recursive: true });
    }
    const { devDependencies: _, ...rest } = own;
    const whole = { ...rest, scripts: {}, optionalDependencies: { [name]: own.version } };
    writeFileSync(join(copy, 'package.json'), JSON.stringify(whole));
    tarballs[own.name] = pack(copy, into);
  }
  return tarballs;
}
