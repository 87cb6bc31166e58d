import type { JobData } from '../../threads/job.js';
import type {
  BackupCompression,
  BackupFile,
  BackupProgress,
  BackupResult,
  BackupVerify,
} from '../backups/options.js';

/** How a backup is made, each setting with its value. */
export interface ResolvedSettings {
  verify: BackupVerify;
  compress: BackupCompression;
  /** MB a second; undefined: as leaves the disk alone for half of the time. */
  pace: number | undefined;
}

/** Makes one backup. */
export interface BackupJob extends ResolvedSettings {
  kind: 'backup';
  target: string;
  /** Whether it may replace a file. */
  replace: boolean;
  /** Whether the calling thread makes the copy: a database in memory has one connection. */
  inMemory: boolean;
}

/** Checks a backup. */
export interface VerifyJob {
  kind: 'verify';
  path: string;
  verify: BackupVerify;
}

/** Puts a backup in the place of a database. */
export interface RestoreJob {
  kind: 'restore';
  backup: string;
  file: string;
  verify: BackupVerify;
}

/** Makes a backup in the folder of the scheduled ones, where one is due and nobody else is at it. */
export interface ScheduledJob extends ResolvedSettings {
  kind: 'scheduled';
  directory: string;
  /** How old the newest one must be, in ms; 0: made in any case. */
  every: number;
  keep: number;
}

/** Lists the folder of the scheduled ones. */
export interface ListJob {
  kind: 'list';
  directory: string;
  /** How each is checked anew; false: what was found when it was made. */
  verify: BackupVerify;
}

export type AnyJob = BackupJob | VerifyJob | RestoreJob | ScheduledJob | ListJob;

/** What a job tells before it is done. */
export type JobNote =
  | { type: 'scratch'; path: string }
  | { type: 'progress'; progress: BackupProgress }
  | { type: 'started'; path: string }
  /** The calling thread shall copy its database in memory to this file, and say when it has. */
  | { type: 'copy'; to: string };

/** What came of a scheduled backup. */
export type ScheduledOutcome =
  | {
      type: 'made';
      result: BackupResult;
      /** The paths of those that retention removed. */
      removed: string[];
      /** What retention could not remove, and why. */
      unremoved: string[];
    }
  /** Another is at it; or the newest was made at that time, and is not old enough. */
  | { type: 'locked' }
  | { type: 'notDue'; newest: number };

/** One backup of a folder, as its thread tells it. */
export interface ListedFile extends BackupFile {
  name: string;
  createdAt: number;
}

/** What the parts of a job's program have at hand. */
export interface JobContext extends Omit<JobData<AnyJob>, 'job'> {
  note(note: JobNote): void;
  /** The next message of the calling thread. */
  message(): Promise<unknown>;
}
