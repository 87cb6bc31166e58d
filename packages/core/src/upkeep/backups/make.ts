import { statSync } from 'node:fs';
import { dirname } from 'node:path';
import { PoolError } from '../../errors.js';
import { Connection, loadSetup } from '../../threads/connection.js';
import { step, throwIfAborted } from '../jobs/error.js';
import type { BackupJob, JobContext } from '../jobs/messages.js';
import { checkFile, pagesOf } from './check.js';
import { checkCompression, compress } from './compress.js';
import { copyDatabase } from './copy.js';
import type { BackupFile, BackupResult } from './options.js';
import {
  checkTarget,
  decide,
  flush,
  place,
  placeNew,
  placeOf,
  statOf,
  thereAlready,
} from './place.js';
import { plainConnection, Scratch, sweep } from './scratch.js';

/** The file of a connection's database, as SQLite has it; undefined where it has none. */
function fileOf(connection: Connection): string | undefined {
  const list = connection.pragma('database_list') as { name: string; file: string }[];
  return list.find(({ name }) => name === 'main')?.file || undefined;
}

/** Makes a backup: the program of its thread. */
export async function makeBackup(job: BackupJob, context: JobContext): Promise<BackupResult> {
  const started = performance.now();
  const { connection, control, note } = context;
  const setup = await loadSetup(connection.setup);
  checkCompression(job.compress);
  const target = await step(`the backup ${job.target} cannot be written`, () =>
    placeOf(job.target, 'the target'),
  );
  const source = job.inMemory
    ? undefined
    : await step(`${connection.file} cannot be read`, () => {
        const opened = new Connection(connection, 'read', connection.busyTimeout);
        opened.configure(setup);
        return opened;
      });
  let scratch: Scratch | undefined;
  try {
    const file = source === undefined ? undefined : fileOf(source);
    checkTarget(target, file);
    if (!job.replace && statOf(target) !== undefined) throw thereAlready(target);
    const what = `the backup ${target} cannot be written`;
    await step(what, () => sweep(dirname(target), connection));
    scratch = await step(what, () => new Scratch(target, connection));
    note({ type: 'scratch', path: scratch.path });
    const copy = scratch.file('copy');
    const mode = file === undefined ? 0o600 : statSync(file).mode & 0o777;
    const held = await step(what, async () => {
      if (source !== undefined) return copyDatabase(source, copy, mode, job.pace, context);
      const before = performance.now();
      note({ type: 'copy', to: copy });
      await context.message();
      throwIfAborted(control);
      return performance.now() - before;
    });
    source?.close();
    const result = await finish(job, copy, target, scratch, context, started);
    return { ...result, held };
  } finally {
    if (source?.db.open === true) source.close();
    scratch?.remove();
  }
}

async function finish(
  job: BackupJob,
  copy: string,
  target: string,
  scratch: Scratch,
  { connection, control, note }: JobContext,
  started: number,
): Promise<Omit<BackupResult, 'held'>> {
  const what = `the backup ${target} cannot be written`;
  await step(what, () => {
    leaveWal(plainConnection(connection, copy, 'write', 5000));
    flush(copy);
  });
  const { pages, pageSize } = pagesOf(copy);
  note({ type: 'progress', progress: { totalPages: pages, remainingPages: 0 } });
  throwIfAborted(control);
  const setup = await loadSetup(connection.setup);
  const { verdict, problems } = await step(`the backup ${target} cannot be verified`, () =>
    checkFile(connection, setup, copy, job.verify),
  );
  if (verdict === 'damaged') {
    throw new PoolError(
      'POOL_BACKUP',
      `the copy for ${target} is damaged, and so is ${connection.file}, or the disk: ${problems.slice(0, 3).join('; ')}`,
    );
  }
  let made = copy;
  if (job.compress !== false) {
    const { compress: how } = job;
    made = scratch.file('packed');
    await step(what, () => compress(copy, made, how, statSync(copy).mode & 0o777, control));
  }
  const bytes = statSync(made).size;
  decide(control);
  await step(what, () => (job.replace ? place(made, target) : placeNew(made, target)));
  const file: BackupFile = {
    path: target,
    bytes,
    pages,
    pageSize,
    verdict,
    verified: job.verify,
    problems,
    compressed: job.compress,
  };
  return { ...file, duration: performance.now() - started };
}

/**
 * A copy of a database in WAL mode is in WAL mode: it could not be opened where its folder cannot
 * be written. Whoever opens it in a pool sets WAL again. https://sqlite.org/wal.html#readonly
 */
function leaveWal(connection: Connection): void {
  try {
    connection.pragma('journal_mode = DELETE');
  } finally {
    connection.close();
  }
}
