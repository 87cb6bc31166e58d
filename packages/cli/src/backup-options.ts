import { existsSync } from 'node:fs';
import type { BackupCompression, BackupVerify, S3ClientOptions } from '@poolite/core';
import { InvalidArgumentError } from 'commander';
import { CliError } from './exit.js';

/** What `--verify` says. */
export function verifyOf(text: string): BackupVerify {
  if (text === 'full' || text === 'quick') return text;
  if (text === 'none') return false;
  throw new InvalidArgumentError('It is full, quick or none.');
}

/** The same where there must be a check. */
export function checkOf(text: string): 'quick' | 'full' {
  if (text === 'full' || text === 'quick') return text;
  throw new InvalidArgumentError('It is full or quick.');
}

export function compressionOf(text: string): BackupCompression {
  if (text === 'gzip' || text === 'zstd') return text;
  throw new InvalidArgumentError('It is gzip or zstd.');
}

export function paceOf(text: string): number {
  const pace = text === 'max' ? Number.POSITIVE_INFINITY : Number(text);
  if (pace > 0) return pace;
  throw new InvalidArgumentError('It is a number of MB a second, or max.');
}

/** Whether a backup is in a bucket, or shall be. */
export function isRemote(path: string): boolean {
  return path.startsWith('s3://');
}

/** The option of commands that a bucket may be named to. */
export const PATH_STYLE = [
  '--path-style',
  'name the bucket in the path of URLs, as servers other than AWS mostly want it',
] as const;

/** What a client of the bucket is made with; the rest is in the environment. */
export function clientOf(pathStyle: boolean | undefined): { client?: S3ClientOptions } {
  return pathStyle === true ? { client: { forcePathStyle: true } } : {};
}

/** A file is not replaced by mistake. */
export function refuseExisting(target: string, force: boolean | undefined): void {
  if (force === true || isRemote(target) || !existsSync(target)) return;
  throw new CliError('EXISTS', `${target} is there already; replace it with --force`);
}
