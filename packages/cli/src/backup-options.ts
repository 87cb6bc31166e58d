import { existsSync } from 'node:fs';
import type { BackupCompression, BackupVerify } from '@poolite/core';
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

/** A file is not replaced by mistake. */
export function refuseExisting(target: string, force: boolean | undefined): void {
  if (force === true || !existsSync(target)) return;
  throw new CliError('EXISTS', `${target} is there already; replace it with --force`);
}
