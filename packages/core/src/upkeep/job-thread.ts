import { parentPort, workerData } from 'node:worker_threads';
import type { JobAnswer, JobData } from '../threads/job.js';
import { listBackups, makeScheduled } from './backups/directory.js';
import { makeBackup } from './backups/make.js';
import { verify } from './backups/verify.js';
import { jobFailure } from './jobs/error.js';
import type { AnyJob, JobContext, JobNote } from './jobs/messages.js';
import { restore } from './restoring/restore-thread.js';

// No imports, which would load them for every thread of the pool: see compress.ts.
const { stat } = process.getBuiltinModule('node:fs/promises');
const { setPriority } = process.getBuiltinModule('node:os');

/** How far a thread that copies steps back: see `nice`. */
const NICE = 10;

const { job, control, connection } = workerData as JobData<AnyJob>;
const port = parentPort as NonNullable<typeof parentPort>;

function answer(message: JobAnswer<JobNote, unknown>): void {
  port.postMessage(message);
}

const context: JobContext = {
  control,
  // The upkeep's own questions want numbers, whatever the user's statements want.
  connection: { ...connection, integers: 'number' },
  note: (note) => answer({ type: 'note', note }),
  message: () => new Promise((resolve) => port.once('message', resolve)),
};

function work(): Promise<unknown> {
  switch (job.kind) {
    case 'backup':
      return makeBackup(job, context);
    case 'scheduled':
      return makeScheduled(job, context);
    case 'list':
      return listBackups(job, context);
    case 'verify':
      return verify(job, context);
    case 'restore':
      return restore(job, context);
    default:
      return job satisfies never;
  }
}

/** Lets those go first that somebody waits for. */
async function stepBack(): Promise<void> {
  const gentle = 'pace' in job && job.pace !== Number.POSITIVE_INFINITY;
  // Only Linux has a priority for each thread; elsewhere it would be the whole process's.
  if (!gentle || process.platform !== 'linux') return;
  // The threads behind Node's own file system calls start with the first of those, and take over
  // the priority of whoever makes it.
  await stat('/');
  setPriority(0, NICE);
}

try {
  await stepBack();
  answer({ type: 'done', result: await work() });
} catch (error) {
  answer({ type: 'failed', failure: jobFailure(error) });
}
