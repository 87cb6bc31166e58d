import { mkdirSync, readdirSync, statSync, unlinkSync } from 'node:fs';
import { join } from 'node:path';
import { PoolError } from '../../errors.js';
import type { ConnectionOptions } from '../../threads/connection.js';
import { rest, step, throwIfAborted } from '../jobs/error.js';
import type {
  JobContext,
  ListedFile,
  ListJob,
  ScheduledJob,
  ScheduledOutcome,
} from '../jobs/messages.js';
import { Catalogue } from './catalogue.js';
import { compressionOf } from './compress.js';
import { makeBackup } from './make.js';
import type { BackupVerify } from './options.js';
import { isSameFile, statOf } from './place.js';
import { verify as verifyFile } from './verify.js';

const NAME = /^backup_(\d{4})(\d\d)(\d\d)_(\d\d)(\d\d)(\d\d)\.sqlite(?:\.gz|\.zst)?$/;
const ENDINGS = { gzip: '.gz', zstd: '.zst' } as const;

/** When a backup was begun, by its name, in ms since 1970; undefined where it is no such name. */
function timeOf(name: string): number | undefined {
  const parts = NAME.exec(name)?.slice(1).map(Number);
  if (parts === undefined) return undefined;
  const [year = 0, month = 0, day, hour, minute, second] = parts;
  return Date.UTC(year, month - 1, day, hour, minute, second);
}

function nameOf(time: number, compress: ScheduledJob['compress']): string {
  const [date = '', clock = ''] = new Date(time).toISOString().split('T');
  const stamp = `${date.replaceAll('-', '')}_${clock.slice(0, 8).replaceAll(':', '')}`;
  return `backup_${stamp}.sqlite${compress === false ? '' : ENDINGS[compress]}`;
}

/** A backup of which nothing is recorded. */
function unknownFile(path: string) {
  const unknown = { pages: 0, pageSize: 0, verdict: 'unverified', verified: false } as const;
  return { ...unknown, problems: [], compressed: compressionOf(path) };
}

/** The backups of a folder, the newest first, with what is recorded of them. */
function filesOf(directory: string, catalogue: Catalogue | undefined): ListedFile[] {
  const files: ListedFile[] = [];
  for (const name of readdirSync(directory)) {
    const createdAt = timeOf(name);
    const path = join(directory, name);
    const stats = createdAt === undefined ? undefined : statOf(path);
    if (createdAt === undefined || !stats?.isFile()) continue;
    const found = catalogue?.find(name, stats) ?? unknownFile(path);
    files.push({ name, createdAt, path, bytes: stats.size, ...found });
  }
  return files.sort((a, b) => b.createdAt - a.createdAt);
}

/** Checks backups of which nothing is recorded: copied here by hand, or changed since. */
async function adopt(
  files: readonly ListedFile[],
  how: BackupVerify,
  catalogue: Catalogue,
  context: JobContext,
): Promise<void> {
  for (const file of files) {
    throwIfAborted(context.control);
    if (catalogue.find(file.name, statSync(file.path)) !== undefined) continue;
    const found = await verifyFile({ kind: 'verify', path: file.path, verify: how }, context);
    catalogue.record(file.name, statSync(file.path), found);
  }
}

/** Makes a backup where one is due, and removes what is too many. */
export async function makeScheduled(
  job: ScheduledJob,
  context: JobContext,
): Promise<ScheduledOutcome> {
  const { directory, every, keep } = job;
  const what = `the folder of backups ${directory} cannot be used`;
  const catalogue = await step(what, () => {
    makeFolder(directory);
    return Catalogue.lock(directory, context.connection);
  });
  if (catalogue === undefined) return { type: 'locked' };
  try {
    refuseOther(catalogue, directory, context.connection);
    const newest = filesOf(directory, catalogue).find(({ verdict }) => verdict !== 'damaged');
    // A clock that was set back must not hold up backups for longer than once around.
    if (newest !== undefined && every > 0 && Math.abs(Date.now() - newest.createdAt) < every) {
      return { type: 'notDue', newest: newest.createdAt };
    }
    const target = freeTarget(job, context.control);
    context.note({ type: 'started', path: target });
    const result = await makeBackup(
      { ...job, kind: 'backup', target, replace: false, inMemory: false },
      context,
    );
    catalogue.source = context.connection.file;
    const name = target.slice(directory.length + 1);
    catalogue.record(name, statSync(target), result);
    await adopt(filesOf(directory, catalogue), 'quick', catalogue, context);
    return { type: 'made', result, ...thinOut(directory, keep, catalogue) };
  } finally {
    catalogue.close();
  }
}

/** Only the last folder is made: one that is missing above it is more likely a mistake, or unmounted. */
function makeFolder(directory: string): void {
  const found = statOf(directory);
  if (found === undefined) mkdirSync(directory, { mode: 0o750 });
  else if (!found.isDirectory())
    throw new PoolError('POOL_OPTIONS', `${directory} is not a folder`);
}

/** Two databases in one folder would remove one another's backups. */
function refuseOther(catalogue: Catalogue, directory: string, { file }: ConnectionOptions): void {
  const other = catalogue.source ?? file;
  // A database that was moved is followed.
  if (other === file || statOf(other) === undefined || isSameFile(other, file)) return;
  throw new PoolError(
    'POOL_OPTIONS',
    `${directory} holds the backups of ${other}: give each database a folder of its own`,
  );
}

/** A name has the second in which the backup begins, so a second backup in it waits for the next. */
function freeTarget({ directory, compress }: ScheduledJob, control: Int32Array): string {
  for (;;) {
    const now = Date.now();
    const isTaken = ([false, 'gzip', 'zstd'] as const).some(
      (each) => statOf(join(directory, nameOf(now, each))) !== undefined,
    );
    if (!isTaken) return join(directory, nameOf(now, compress));
    rest(control, 1000 - (now % 1000));
  }
}

/** Removes all but the newest `keep` that are not damaged, and never the newest that is good. */
function thinOut(
  directory: string,
  keep: number,
  catalogue: Catalogue,
): { removed: string[]; unremoved: string[] } {
  const files = filesOf(directory, catalogue);
  const usable = files.filter(({ verdict }) => verdict !== 'damaged');
  const good = files.find(({ verdict }) => verdict === 'ok');
  const oldest = usable[keep - 1];
  const removed: string[] = [];
  const unremoved: string[] = [];
  for (const file of oldest === undefined ? [] : files) {
    if (file === good || file.createdAt >= (oldest?.createdAt ?? 0)) continue;
    try {
      unlinkSync(file.path);
      catalogue.forget(file.name);
      removed.push(file.path);
    } catch (error) {
      unremoved.push(`${file.path}: ${(error as Error).message}`);
    }
  }
  return { removed, unremoved };
}

/** Lists the backups of a folder, the newest first. */
export async function listBackups(job: ListJob, context: JobContext): Promise<ListedFile[]> {
  const { directory, verify } = job;
  const what = `the folder of backups ${directory} cannot be read`;
  return step(what, async () => {
    if (statOf(directory) === undefined) return [];
    const catalogue = Catalogue.read(directory, context.connection);
    try {
      const files = filesOf(directory, catalogue);
      if (verify === false) return files;
      const checked: ListedFile[] = [];
      for (const file of files) {
        throwIfAborted(context.control);
        const found = await verifyFile({ kind: 'verify', path: file.path, verify }, context);
        checked.push({ ...file, ...found });
      }
      return checked;
    } finally {
      catalogue?.close();
    }
  });
}
