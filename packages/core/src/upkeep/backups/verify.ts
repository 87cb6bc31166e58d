import { accessSync, constants, statSync } from 'node:fs';
import { PoolError } from '../../errors.js';
import { loadSetup } from '../../threads/connection.js';
import { step, throwIfAborted } from '../jobs/error.js';
import type { JobContext, VerifyJob } from '../jobs/messages.js';
import { checkFile, pagesOf } from './check.js';
import { compressionOf, unpack } from './compress.js';
import type { BackupFile } from './options.js';
import { SIDE_FILES, statOf } from './place.js';
import { Scratch } from './scratch.js';

/** Refuses what is no backup: a missing file, or a database with parts of it in other files. */
export function checkBackup(path: string): void {
  const found = statOf(path);
  if (found === undefined) throw new PoolError('POOL_BACKUP', `there is no backup ${path}`);
  if (!found.isFile())
    throw new PoolError('POOL_BACKUP', `the backup ${path} is not a regular file`);
  try {
    accessSync(path, constants.R_OK);
  } catch (cause) {
    throw new PoolError('POOL_BACKUP', `the backup ${path} may not be read by this user`, {
      cause,
    });
  }
  // Opening it would drop this process's locks on it, were it a database of this process.
  for (const end of SIDE_FILES) {
    if (statOf(`${path}${end}`) === undefined) continue;
    throw new PoolError(
      'POOL_BACKUP',
      `${path} is no backup but a database in use, since ${path}${end} is beside it: back it up first`,
    );
  }
}

/** What is known of a backup, and where its database is, unpacked: itself, or a file in `scratch`. */
async function look(
  path: string,
  verify: VerifyJob['verify'],
  scratch: () => Scratch,
  { connection, control }: JobContext,
): Promise<{ file: BackupFile; database: string }> {
  const compressed = compressionOf(path);
  let database = path;
  if (compressed !== false) {
    database = scratch().file('unpacked');
    await unpack(path, database, compressed, control);
  }
  throwIfAborted(control);
  const pages = pagesOf(database, path);
  const found = checkFile(connection, await loadSetup(connection.setup), database, verify);
  return {
    database,
    file: { path, bytes: statSync(path).size, ...pages, ...found, verified: verify, compressed },
  };
}

/** Checks a backup. */
export async function verify(job: VerifyJob, context: JobContext): Promise<BackupFile> {
  checkBackup(job.path);
  let scratch: Scratch | undefined;
  const make = () => {
    scratch = new Scratch(job.path, context.connection);
    context.note({ type: 'scratch', path: scratch.path });
    return scratch;
  };
  try {
    return (
      await step(`${job.path} cannot be verified`, () => look(job.path, job.verify, make, context))
    ).file;
  } catch (error) {
    // What does not even unpack, or has no header, is a backup that is damaged: that was asked.
    if (!PoolError.is(error) || !/ is damaged| is not an SQLite/.test(error.message)) throw error;
    return damagedFile(job.path, job.verify, error.message);
  } finally {
    scratch?.remove();
  }
}

function damagedFile(path: string, verified: VerifyJob['verify'], problem: string): BackupFile {
  const compressed = compressionOf(path);
  const { size: bytes } = statSync(path);
  return {
    path,
    bytes,
    pages: 0,
    pageSize: 0,
    verdict: 'damaged',
    verified,
    problems: [problem],
    compressed,
  };
}
