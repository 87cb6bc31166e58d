import { realpathSync } from 'node:fs';
import { basename } from 'node:path';
import { verifyBackup } from '@poolite/core';
import type { Command } from 'commander';
import { clientOf, isRemote, PATH_STYLE } from '../backup-options.js';
import { CompressedFile, lookAt, sizeOf } from '../database-file.js';
import { ExitCode } from '../exit.js';
import { bytes, count, duration, paint, plural } from '../format.js';
import { inspect } from '../inspector.js';
import { type Integrity, integrity, isSound, orphanLine, type Thoroughness } from '../integrity.js';
import { interruptible } from '../interrupt.js';
import { print } from '../output.js';
import { startProgress } from '../progress.js';

interface Options {
  quick?: boolean;
  pathStyle?: boolean;
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
    .argument('<file>', 'the database file, or a backup: also s3://bucket/key')
    .option('--quick', 'leave out whether indexes and tables agree: much faster')
    .option(...PATH_STYLE)
    .option('--json', 'print the result as JSON')
    .action(verify);
}

async function verify(path: string, { quick, pathStyle, json }: Options): Promise<void> {
  const check = quick === true ? 'quick' : 'full';
  const progress = startProgress(`verify ${basename(path)}`);
  let result: VerifyResult;
  try {
    result = isPlain(path) ? await plain(path, check) : await packed(path, check, pathStyle);
  } finally {
    progress.end();
  }
  print(json, result, () => describe(result).join('\n'));
  if (!result.sound) process.exitCode = ExitCode.found;
}

/** Whether it is a database as it is; false where it must be fetched or unpacked first. */
function isPlain(path: string): boolean {
  if (isRemote(path)) return false;
  try {
    lookAt(path);
    return true;
  } catch (error) {
    if (error instanceof CompressedFile) return false;
    throw error;
  }
}

async function plain(path: string, check: Thoroughness): Promise<VerifyResult> {
  const found = await inspect(realpathSync(path), (inspector) => integrity(inspector, check));
  return { file: path, bytes: sizeOf(path) ?? 0, sound: isSound(found), ...found };
}

/** What is unpacked or fetched for it is removed again. */
async function packed(
  path: string,
  check: Thoroughness,
  pathStyle: boolean | undefined,
): Promise<VerifyResult> {
  const started = performance.now();
  const found = await interruptible((signal) =>
    verifyBackup(path, { verify: check, signal, ...clientOf(pathStyle) }),
  );
  return {
    file: path,
    bytes: found.bytes,
    sound: found.verdict === 'ok',
    check,
    problems: found.problems,
    orphans: [],
    orphanCount: 0,
    ms: performance.now() - started,
  };
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
