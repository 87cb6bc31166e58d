import { realpathSync } from 'node:fs';
import type { Command } from 'commander';
import { lookAt } from '../database-file.js';
import { ExitCode } from '../exit.js';
import { bytes, count, duration, paint, plural } from '../format.js';
import { inspect } from '../inspector.js';
import { type Integrity, integrity, isSound, orphanLine } from '../integrity.js';
import { print } from '../output.js';
import { startProgress } from '../progress.js';

interface Options {
  quick?: boolean;
  json?: boolean;
}

/** What `verify --json` prints. */
export interface VerifyResult extends Integrity {
  file: string;
  bytes: number;
  sound: boolean;
}

export function verifyCommand(program: Command): void {
  program
    .command('verify')
    .description('look a database or a backup through: every page, index and foreign key')
    .argument('<file>', 'the database file')
    .option('--quick', 'leave out whether indexes and tables agree: much faster')
    .option('--json', 'print the result as JSON')
    .action(verify);
}

async function verify(path: string, { quick, json }: Options): Promise<void> {
  const { stats } = lookAt(path);
  const progress = startProgress(`verify ${path} (${bytes(stats.size)})`);
  let result: VerifyResult;
  try {
    const found = await inspect(realpathSync(path), (inspector) =>
      integrity(inspector, quick === true ? 'quick' : 'full'),
    );
    result = { file: path, bytes: stats.size, sound: isSound(found), ...found };
  } finally {
    progress.end();
  }
  print(json, result, () => describe(result).join('\n'));
  if (!result.sound) process.exitCode = ExitCode.found;
}

function describe({ file, bytes: size, sound, check, ms, ...found }: VerifyResult): string[] {
  const how = check === 'full' ? 'integrity check' : 'quick check';
  const spent = `${how} and foreign keys, ${bytes(size)} in ${duration(ms)}`;
  if (sound) return [`${paint('green', 'sound')}  ${file}  (${spent})`];
  const { problems, orphans, orphanCount } = found;
  const lines = [`${paint('red', 'damaged')}  ${file}  (${spent})`];
  lines.push(...problems.map((problem) => `  ${problem}`));
  lines.push(...orphans.map(orphanLine));
  const more = orphanCount - orphans.length;
  if (more > 0) lines.push(`  … and ${count(more)} more`);
  if (orphanCount > 0) lines.push(`  ${plural(orphanCount, 'row')} without a parent in all`);
  return lines;
}
