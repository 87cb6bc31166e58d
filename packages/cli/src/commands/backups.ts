import { statSync } from 'node:fs';
import { basename } from 'node:path';
import { type ListedBackup, listBackups } from '@poolite/core';
import type { Command } from 'commander';
import { checkOf, clientOf, isRemote, PATH_STYLE } from '../backup-options.js';
import { CliError, ExitCode } from '../exit.js';
import { bytes, duration, paint, plural, table } from '../format.js';
import { interruptible } from '../interrupt.js';
import { print } from '../output.js';
import { startProgress } from '../progress.js';

interface Options {
  verify?: 'quick' | 'full';
  pathStyle?: boolean;
  json?: boolean;
}

/** What `backups --json` prints. */
export interface BackupsReport {
  directory: string;
  /** The newest first. */
  backups: ListedBackup[];
}

export function backupsCommand(program: Command): void {
  program
    .command('backups')
    .description('list the backups that a pool has made by schedule')
    .argument('<directory>', 'their folder, or s3://bucket/prefix')
    .option('--verify <check>', 'check each anew: full or quick', checkOf)
    .option(...PATH_STYLE)
    .option('--json', 'print the result as JSON')
    .action(backups);
}

async function backups(directory: string, { verify, pathStyle, json }: Options): Promise<void> {
  const isBucket = isRemote(directory);
  if (!isBucket && statSync(directory, { throwIfNoEntry: false })?.isDirectory() !== true) {
    throw new CliError('NOT_FOUND', `there is no directory ${directory}`);
  }
  const progress = startProgress(`backups ${basename(directory)}`);
  let report: BackupsReport;
  try {
    const found = await interruptible((signal) =>
      listBackups(directory, { verify: verify ?? false, signal, ...clientOf(pathStyle) }),
    );
    report = { directory, backups: found };
  } finally {
    progress.end();
  }
  print(json, report, () => describe(report));
  if (report.backups.some(({ verdict }) => verdict === 'damaged')) {
    process.exitCode = ExitCode.found;
  }
}

function describe({ directory, backups: all }: BackupsReport): string {
  if (all.length === 0) return `${directory}: no backups`;
  const rows = all.map(({ name, age, bytes: size, compressed, verdict }) => {
    const colour = verdict === 'ok' ? 'green' : verdict === 'damaged' ? 'red' : 'yellow';
    const how = compressed === false ? '' : compressed;
    return [name, `${duration(age)} ago`, bytes(size), how, paint(colour, verdict)];
  });
  const total = all.reduce((sum, { bytes: size }) => sum + size, 0);
  return [table(rows, [1, 2]), `${plural(all.length, 'backup')}, ${bytes(total)}`].join('\n');
}
