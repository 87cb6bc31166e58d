import { basename } from 'node:path';
import { type BackupVerify, type RestoreResult, restoreBackup } from '@poolite/core';
import type { Command } from 'commander';
import { clientOf, PATH_STYLE, refuseExisting, verifyOf } from '../backup-options.js';
import { ExitCode } from '../exit.js';
import { bytes, duration, paint, plural } from '../format.js';
import { interruptible } from '../interrupt.js';
import { print } from '../output.js';
import { startProgress } from '../progress.js';

interface Options {
  verify: BackupVerify;
  force?: boolean;
  pathStyle?: boolean;
  json?: boolean;
}

/** What `restore --json` prints. */
export interface RestoreReport extends RestoreResult {
  backup: string;
  file: string;
}

export function restoreCommand(program: Command): void {
  program
    .command('restore')
    .description('put a backup in the place of a database file that nobody has open')
    .argument('<backup>', 'the backup, compressed or not: also s3://bucket/key')
    .argument('<file>', 'the database file')
    .option(
      '--verify <check>',
      'how to check the backup before: full, quick or none',
      verifyOf,
      'full',
    )
    .option('--force', 'replace the database file where it exists')
    .option(...PATH_STYLE)
    .option('--json', 'print the result as JSON')
    .addHelpText(
      'after',
      '\nThe old file is kept until the new one is in place, so that Ctrl-C leaves one or the other.',
    )
    .action(restore);
}

async function restore(backup: string, file: string, options: Options): Promise<void> {
  const { verify, force, pathStyle, json } = options;
  refuseExisting(file, force);
  const progress = startProgress(`restore ${basename(file)}`);
  let report: RestoreReport;
  try {
    const result = await interruptible((signal) =>
      restoreBackup(backup, file, { verify, signal, ...clientOf(pathStyle) }),
    );
    report = { backup, file, ...result };
  } finally {
    progress.end();
  }
  print(json, report, () => describe(report));
  if (report.verdict === 'foreign-keys') process.exitCode = ExitCode.found;
}

function describe(report: RestoreReport): string {
  const { backup, path, pages, replaced, verdict, problems } = report;
  const done = paint(verdict === 'ok' ? 'green' : 'yellow', replaced ? 'replaced' : 'restored');
  const size = `${plural(pages, 'page')}, ${bytes(report.bytes)}`;
  return [
    `${done}  ${path}  from ${backup}: ${verdict}, ${size}, in ${duration(report.duration)}`,
    ...problems.map((problem) => `  ${problem}`),
  ].join('\n');
}
