import { realpathSync } from 'node:fs';
import { basename } from 'node:path';
import type { CheckpointMode, CheckpointResult } from '@poolite/core';
import { type Command, InvalidArgumentError } from 'commander';
import { lookAt, sizeOf } from '../database-file.js';
import { CliError, ExitCode } from '../exit.js';
import { bytes, duration, paint, plural } from '../format.js';
import { type Inspector, inspect } from '../inspector.js';
import { print } from '../output.js';
import { startProgress } from '../progress.js';

const MODES = ['PASSIVE', 'FULL', 'RESTART', 'TRUNCATE'] as const;

interface Options {
  mode: CheckpointMode;
  json?: boolean;
}

/** What `checkpoint --json` prints. */
export interface CheckpointReport extends CheckpointResult {
  file: string;
  mode: CheckpointMode;
  /** The size of the WAL file before and after it, in bytes. */
  walBefore: number;
  walAfter: number;
  /** How long it took, in ms. */
  ms: number;
}

export function checkpointCommand(program: Command): void {
  program
    .command('checkpoint')
    .description('move what is in the WAL to the database file')
    .argument('<file>', 'the database file')
    .option(
      '--mode <mode>',
      'PASSIVE: wait for nobody; FULL: wait until all is moved; RESTART: and until nobody reads ' +
        'the WAL; TRUNCATE: and empty it',
      modeOf,
      'PASSIVE',
    )
    .option('--json', 'print the result as JSON')
    .addHelpText('after', '\nSee https://sqlite.org/pragma.html#pragma_wal_checkpoint')
    .action(checkpoint);
}

function modeOf(text: string): CheckpointMode {
  const mode = MODES.find((each) => each === text.toUpperCase());
  if (mode === undefined) throw new InvalidArgumentError(`It is one of ${MODES.join(', ')}.`);
  return mode;
}

async function checkpoint(file: string, { mode, json }: Options): Promise<void> {
  const { header } = lookAt(file);
  if (header?.journal !== 'wal') {
    throw new CliError(
      'NOT_WAL',
      `${file} is not in WAL mode, so there is nothing to checkpoint; a pool sets WAL when it opens it`,
    );
  }
  const realPath = realpathSync(file);
  const wal = `${realPath}-wal`;
  const walBefore = sizeOf(wal) ?? 0;
  const progress = startProgress(`checkpoint ${basename(file)}`);
  const started = performance.now();
  let report: CheckpointReport;
  try {
    // A pool would empty the WAL when it closes, and wait for others, whatever the mode says.
    const result = await inspect(realPath, (connection) => run(connection, mode), 'write');
    const ms = performance.now() - started;
    report = { file, mode, ...result, walBefore, walAfter: sizeOf(wal) ?? 0, ms };
  } finally {
    progress.end();
  }
  print(json, report, () => describe(report));
  if (!isComplete(report)) process.exitCode = ExitCode.busy;
}

async function run(connection: Inspector, mode: CheckpointMode): Promise<CheckpointResult> {
  const [row] = await connection.all<CheckpointResult>(`PRAGMA wal_checkpoint(${mode})`);
  return row as CheckpointResult;
}

/** A PASSIVE checkpoint does not call itself busy when a reader keeps it from moving all. */
function isComplete({ busy, log, checkpointed }: CheckpointResult): boolean {
  return busy === 0 && checkpointed >= log;
}

function describe(report: CheckpointReport): string {
  const { file, mode, log, checkpointed } = report;
  const done = isComplete(report) ? paint('green', 'done') : paint('yellow', 'not finished');
  const moved = `${plural(checkpointed, 'page')} of ${plural(log, 'page')} moved`;
  const size = `WAL ${bytes(report.walBefore)}, now ${bytes(report.walAfter)}`;
  const lines = [`${done}  ${file}  ${mode}: ${moved}; ${size}; ${duration(report.ms)}`];
  if (!isComplete(report)) {
    lines.push(
      '  a reader or a writer was in the way: try again, or see who it is with `poolite doctor`',
    );
  }
  return lines.join('\n');
}
