import { readFileSync } from 'node:fs';
import { Command, CommanderError } from 'commander';
import { backupCommand } from './commands/backup.js';
import { backupsCommand } from './commands/backups.js';
import { benchCommand } from './commands/bench.js';
import { checkpointCommand } from './commands/checkpoint.js';
import { doctorCommand } from './commands/doctor.js';
import { restoreCommand } from './commands/restore.js';
import { serveCommand } from './commands/serve.js';
import { topCommand } from './commands/top.js';
import { verifyCommand } from './commands/verify.js';
import { CliError, ExitCode } from './exit.js';
import { fail } from './output.js';

const EXIT_CODES = `
Exit codes:
  0    done, and nothing is wrong
  1    it failed: the message tells why
  2    wrong usage
  3    the file is damaged or no database, or doctor found something that needs a cure
  4    somebody else has the file open or locked
  130  ended by Ctrl-C, 143 by SIGTERM`;

function version(): string {
  const url = new URL('../package.json', import.meta.url);
  return (JSON.parse(readFileSync(url, 'utf8')) as { version: string }).version;
}

/** The commands of `poolite`. */
export function program(): Command {
  const poolite = new Command('poolite')
    .description('Looks after SQLite database files, and after the pools that have them open.')
    .version(version())
    .addHelpText('after', EXIT_CODES)
    .showSuggestionAfterError(true)
    .exitOverride();
  doctorCommand(poolite);
  checkpointCommand(poolite);
  verifyCommand(poolite);
  backupCommand(poolite);
  restoreCommand(poolite);
  backupsCommand(poolite);
  topCommand(poolite);
  serveCommand(poolite);
  benchCommand(poolite);
  return poolite;
}

/** Runs a command; the exit code is set, and the process ends when nothing is left to do. */
export async function run(argv: readonly string[]): Promise<void> {
  const json = argv.includes('--json');
  const poolite = program();
  // Commands copied these settings when they were made.
  for (const command of [poolite, ...poolite.commands]) {
    command.exitOverride();
    if (json) command.configureOutput({ writeErr: () => {} });
  }
  try {
    await poolite.parseAsync(argv);
  } catch (error) {
    if (!(error instanceof CommanderError)) return fail(json, error);
    // Help and the version are printed already, and so is what is wrong, unless it shall be JSON.
    if (error.exitCode === 0) return;
    process.exitCode = ExitCode.usage;
    if (!json) return;
    fail(true, new CliError('USAGE', error.message.replace(/^error: /, ''), ExitCode.usage));
  }
}
