import { readFileSync } from 'node:fs';

/** The platforms that the extension is built for: each has a package of its own. */
export const PLATFORMS = [
  'linux-x64',
  'linux-arm64',
  'linuxmusl-x64',
  'linuxmusl-arm64',
  'darwin-x64',
  'darwin-arm64',
  'win32-x64',
  'win32-arm64',
] as const;

/** The name of this machine's platform, which may be none of `PLATFORMS`. */
export function platformHere(): string {
  return `${process.platform}${isMusl() ? 'musl' : ''}-${process.arch}`;
}

/** Node.js's own report would tell it too, but waits for every thread to come out of SQLite. */
function isMusl(): boolean {
  if (process.platform !== 'linux') return false;
  try {
    return readFileSync('/usr/bin/ldd', 'latin1').includes('musl');
  } catch {
    // A system without it has no package manager either: the usual one.
    return false;
  }
}

/** The name of the extension's file on a platform; they all begin with that of the system. */
export function fileName(platform: string): string {
  if (platform.startsWith('win32')) return 'poolite_hooks.dll';
  return platform.startsWith('darwin') ? 'poolite_hooks.dylib' : 'poolite_hooks.so';
}
