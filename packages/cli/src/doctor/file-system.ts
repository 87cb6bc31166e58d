import { statfsSync } from 'node:fs';

/** What a file lies on. */
export interface FileSystem {
  /** Its name, where it is known: `ext4`, `nfs`. */
  kind: string;
  nature: 'local' | 'network' | 'shared' | 'memory' | 'unknown';
  freeBytes: number;
  totalBytes: number;
}

type Kind = readonly [kind: string, nature: FileSystem['nature']];

/** The numbers of Linux: https://man7.org/linux/man-pages/man2/statfs.2.html */
const LINUX: ReadonlyMap<number, Kind> = new Map([
  [0xef53, ['ext4', 'local']],
  [0x58465342, ['xfs', 'local']],
  [0x9123683e, ['btrfs', 'local']],
  [0xf2f52010, ['f2fs', 'local']],
  [0x2fc12fc1, ['zfs', 'local']],
  [0x794c7630, ['overlayfs', 'local']],
  [0x4d44, ['fat', 'local']],
  [0x2011bab0, ['exfat', 'local']],
  [0x5346544e, ['ntfs', 'local']],
  [0x01021994, ['tmpfs', 'memory']],
  [0x858458f6, ['ramfs', 'memory']],
  [0x6969, ['nfs', 'network']],
  [0x517b, ['smb', 'network']],
  [0xfe534d42, ['smb', 'network']],
  [0xff534d42, ['cifs', 'network']],
  [0x5346414f, ['afs', 'network']],
  [0x00c36400, ['ceph', 'network']],
  [0x47504653, ['gpfs', 'network']],
  [0x0bd00bd0, ['lustre', 'network']],
  [0x01161970, ['gfs2', 'network']],
  [0x7461636f, ['ocfs2', 'network']],
  [0x65735546, ['fuse', 'shared']],
  [0x01021997, ['9p', 'shared']],
  [0x6a656a63, ['virtiofs', 'shared']],
  [0x786f4256, ['vboxsf', 'shared']],
] as const);

/** The file system of a file or folder. Only Linux numbers its kinds so that they can be told. */
export function fileSystemOf(path: string): FileSystem {
  const { type, bavail, blocks, bsize } = statfsSync(path);
  const known = process.platform === 'linux' ? LINUX.get(type >>> 0) : undefined;
  const [kind, nature] = known ?? (['unknown', 'unknown'] as const);
  return { kind, nature, freeBytes: bavail * bsize, totalBytes: blocks * bsize };
}
