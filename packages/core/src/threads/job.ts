import type { MessagePort, Worker } from 'node:worker_threads';
import type { ConnectionOptions } from './connection.js';
import { startProgram } from './home.js';
import type { Failure } from './protocol.js';

/** Words of the memory that a job's thread shares with whoever started it. */
export const JobWord = { state: 0, words: 1 } as const;

/** A job is aborted, or past the point where it can be: whoever swaps it first decides. */
export const JobState = { running: 0, aborted: 1, placed: 2 } as const;

/** What the thread of a job is given. */
export interface JobData<Job> {
  job: Job;
  control: Int32Array;
  connection: ConnectionOptions;
}

/** What went wrong on a job's thread, and what SQLite or the file system said to it. */
export interface JobFailure {
  code: string;
  message: string;
  cause: (Failure & { stack: string | undefined }) | undefined;
}

/** What a job's thread says; `note` is whatever the job has to tell before it is done. */
export type JobAnswer<Note, Result> =
  | { type: 'note'; note: Note }
  | { type: 'done'; result: Result }
  | { type: 'failed'; failure: JobFailure };

export type JobPort = MessagePort;

/** Starts a thread that does one job and ends. */
export function startJob<Job extends { kind: string }>(data: JobData<Job>): Worker {
  return startProgram(data.job.kind, data);
}
