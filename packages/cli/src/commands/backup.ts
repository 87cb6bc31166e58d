import { realpathSync } from 'node:fs';
import { basename } from 'node:path';
import {
  type BackupCompression,
  type BackupResult,
  type BackupVerify,
  createPool,
} from '@poolite/core';
import type { Command } from 'commander';
import {
  clientOf,
  compressionOf,
  PATH_STYLE,
  paceOf,
  refuseExisting,
  verifyOf,
} from '../backup-options.js';
import { lookAt, sizeOf } from '../database-file.js';
import { ExitCode } from '../exit.js';
import { bytes, duration, paint, plural } from '../format.js';
import { tidy } from '../inspector.js';
import { interruptible } from '../interrupt.js';
import { print } from '../output.js';
import { startProgress } from '../progress.js';

interface Options {
  verify: BackupVerify;
  compress?: BackupCompression;
  pace?: number;
  force?: boolean;
  pathStyle?: boolean;
  json?: boolean;
}

/** What `backup --json` prints. */
export interface BackupReport extends BackupResult {
  file: string;
}

export function backupCommand(program: Command): void {
  program
    .command('backup')
    .description('copy a database to a file or a bucket, while it is read and written')
    .argument('<file>', 'the database file')
    .argument('<target>', 'the file to make, or s3://bucket/key')
    .option('--verify <check>', 'how to check the copy: quick, full or none', verifyOf, 'quick')
    .option('--compress <how>', 'gzip or zstd', compressionOf)
    .option(
      '--pace <MB/s>',
      'the most to copy in a second, or max; by default writers hardly feel it',
      paceOf,
    )
    .option('--force', 'replace the target where it exists')
    .option(...PATH_STYLE)
    .option('--json', 'print the result as JSON')
    .addHelpText(
      'after',
      '\nThe target appears when it is verified and flushed, all at once. Ctrl-C leaves nothing behind.',
    )
    .action(backup);
}

async function backup(file: string, target: string, options: Options): Promise<void> {
  const { json, force, pathStyle, ...settings } = options;
  const { header } = lookAt(file);
  const realPath = realpathSync(file);
  const hadWal = sizeOf(`${realPath}-wal`) !== undefined;
  refuseExisting(target, force);
  const progress = startProgress(`backup ${basename(file)}`);
  const pageSize = header?.pageSize ?? 4096;
  let report: BackupReport;
  try {
    const result = await interruptible(async (signal) => {
      // For reading only, so that the file stays as it is, and its WAL too.
      await using pool = createPool(file, { readonly: true, readers: 1, inlineReads: 'off' });
      return await pool.backup(target, {
        ...settings,
        ...clientOf(pathStyle),
        replace: force === true,
        signal,
        onProgress: ({ totalPages, remainingPages }) => {
          if (remainingPages === 0) progress.step(`flushing and checking ${basename(target)}`);
          else progress.update((totalPages - remainingPages) * pageSize, totalPages * pageSize);
        },
        onSending: ({ doneBytes, totalBytes }) => {
          if (doneBytes === 0) progress.step(`sending ${basename(target)}`);
          progress.update(doneBytes, totalBytes);
        },
      });
    });
    report = { file, ...result };
  } finally {
    progress.end();
    if (!hadWal) await tidy(realPath);
  }
  print(json, report, () => describe(report));
  if (report.verdict === 'foreign-keys') process.exitCode = ExitCode.found;
}

function describe(report: BackupReport): string {
  const { path, pages, verdict, compressed, problems } = report;
  const done = paint(verdict === 'ok' ? 'green' : 'yellow', verdict);
  const how = compressed === false ? '' : ` (${compressed})`;
  const size = `${plural(pages, 'page')}, ${bytes(report.bytes)}${how}`;
  return [
    `${done}  ${path}  ${size} in ${duration(report.duration)}`,
    ...problems.map((problem) => `  ${problem}`),
  ].join('\n');
}
