import { mkdtempSync, rmSync } from 'node:fs';
import { availableParallelism, cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Command, InvalidArgumentError } from 'commander';
import { measure, type Result } from '../bench/measure.js';
import { makeSides } from '../bench/works.js';
import { fileSystemOf } from '../doctor/file-system.js';
import { CliError } from '../exit.js';
import { paint, table } from '../format.js';
import { interruptible } from '../interrupt.js';
import { print } from '../output.js';
import { startProgress } from '../progress.js';

interface Options {
  folder: string;
  rounds: number;
  time: number;
  json?: boolean;
}

/** What `bench --json` prints. */
export interface BenchReport {
  machine: { node: string; cpu: string; cores: number; fileSystem: string };
  rounds: number;
  results: Result[];
}

export function benchCommand(program: Command): void {
  program
    .command('bench')
    .description('compare a pool with plain better-sqlite3 on this machine, on temporary files')
    .option('--folder <folder>', 'where to make them: the disk that counts', tmpdir())
    .option('--rounds <n>', 'how often to measure each', wholeNumber, 5)
    .option('--time <ms>', 'how long to measure each time', wholeNumber, 300)
    .option('--json', 'print the result as JSON')
    .addHelpText(
      'after',
      '\nBoth in one run, in turns, each on a file of its own, which is removed. Medians; "x" is how many' +
        '\ntimes as good as better-sqlite3 the pool is. It flushes each commit to the disk on both sides.',
    )
    .action(bench);
}

function wholeNumber(text: string): number {
  const value = Number(text);
  if (Number.isInteger(value) && value >= 1 && value <= 60_000) return value;
  throw new InvalidArgumentError('It is a whole number from 1 to 60000.');
}

async function bench({ folder, rounds, time, json }: Options): Promise<void> {
  const report = await interruptible((signal) => run(folder, rounds, time, signal));
  print(json, report, () => describe(report));
}

async function run(
  parent: string,
  rounds: number,
  ms: number,
  signal: AbortSignal,
): Promise<BenchReport> {
  const folder = makeFolder(parent);
  const progress = startProgress('bench');
  try {
    const { kind } = fileSystemOf(folder);
    const sides = await makeSides(folder);
    try {
      const results: Result[] = [];
      for (const work of sides.works) {
        progress.step(`bench: ${work.name}`);
        results.push(await measure(work, { rounds, ms }, signal));
      }
      const cpu = cpus()[0]?.model.trim() ?? 'unknown';
      const cores = availableParallelism();
      return {
        machine: { node: process.version, cpu, cores, fileSystem: kind },
        rounds,
        results,
      };
    } finally {
      await sides.close();
    }
  } finally {
    progress.end();
    rmSync(folder, { recursive: true, force: true });
  }
}

function makeFolder(parent: string): string {
  try {
    return mkdtempSync(join(parent, 'poolite-bench-'));
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    throw new CliError(code ?? 'ERROR', `no folder can be made in ${parent}: ${message}`);
  }
}

const number = new Intl.NumberFormat('en', { maximumSignificantDigits: 3 });

function describe({ machine, rounds, results }: BenchReport): string {
  const { node, cpu, cores, fileSystem } = machine;
  const lines = [
    `Node.js ${node}, ${cores} cores (${cpu}), ${fileSystem}; medians of ${rounds} rounds`,
  ];
  if (fileSystem === 'tmpfs') {
    lines.push(paint('yellow', 'tmpfs is in memory: a flush costs nothing there; see --folder'));
  }
  for (const { work, unit, contenders } of results) {
    lines.push('', `${work} (${unit})`);
    const rows = contenders.map(({ name, median, low, high, ratio }) => [
      `  ${name}`,
      number.format(median),
      `${ratio.toFixed(2)}x`,
      `${number.format(low)} … ${number.format(high)}`,
    ]);
    lines.push(table(rows, [1, 2]));
  }
  return lines.join('\n');
}
