import type { BackupDestination } from './destination.js';
import { DirectoryDestination } from './directory.js';
import { S3Destination } from './s3-destination.js';
import type { S3ClientOptions } from './s3-sdk.js';

/** A bucket, with what its client needs. */
export interface S3Location {
  /** `s3://bucket`, or `s3://bucket/prefix`. */
  url: string;
  /**
   * What `new S3Client(…)` of `@aws-sdk/client-s3` takes: `endpoint`, `region`, `credentials`,
   * `forcePathStyle`, … Default: what that SDK finds in the environment.
   */
  client?: S3ClientOptions;
}

/** Where backups go: a folder, `s3://bucket/prefix`, or a bucket with what its client needs. */
export type DestinationOption = string | S3Location;

/** Whether a backup is in a bucket, or shall be. */
export function isRemote(path: string): boolean {
  return path.startsWith('s3://');
}

/** Makes a destination of the option; nothing is loaded or asked before the first use. */
export function newDestination(option: DestinationOption): BackupDestination {
  if (typeof option !== 'string') return new S3Destination(option.url, option.client);
  if (isRemote(option)) return new S3Destination(option, undefined);
  return new DirectoryDestination(option);
}
