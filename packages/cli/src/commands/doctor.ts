import { basename } from 'node:path';
import type { Command } from 'commander';
import { lookAt } from '../database-file.js';
import { type Facts, gather } from '../doctor/facts.js';
import { type Finding, findings, type Status } from '../doctor/findings.js';
import { ExitCode } from '../exit.js';
import { paint, plural, table } from '../format.js';
import type { Thoroughness } from '../integrity.js';
import { orphanLine } from '../integrity.js';
import { print } from '../output.js';
import { startProgress } from '../progress.js';

interface Options {
  quick?: boolean;
  check: boolean;
  strict?: boolean;
  json?: boolean;
}

/** What `doctor --json` prints. */
export interface DoctorReport {
  file: string;
  /** The worst of the findings. */
  status: Status;
  findings: Finding[];
  facts: Facts;
}

const ORDER: readonly Status[] = ['ok', 'note', 'warn', 'fail'];

export function doctorCommand(program: Command): void {
  program
    .command('doctor')
    .description('examine a database file and where it lies: what to change, and why')
    .argument('<file>', 'the database file')
    .option('--quick', 'leave out whether indexes and tables agree: much faster')
    .option('--no-check', 'do not read the whole file')
    .option('--strict', 'exit with 3 for warnings too')
    .option('--json', 'print the result as JSON')
    .addHelpText('after', '\nIt changes nothing. The file may be in use.')
    .action(doctor);
}

async function doctor(path: string, { quick, check, strict, json }: Options): Promise<void> {
  const file = lookAt(path);
  const how: Thoroughness | 'none' = !check ? 'none' : quick === true ? 'quick' : 'full';
  const progress = startProgress(`doctor ${basename(path)}`);
  let facts: Facts;
  try {
    facts = await gather(file, how, (label) => progress.step(label));
  } finally {
    progress.end();
  }
  const all = findings(facts);
  const worst = Math.max(...all.map(({ status }) => ORDER.indexOf(status)));
  const status = ORDER[worst] ?? 'ok';
  const report: DoctorReport = { file: path, status, findings: all, facts };
  print(json, report, () => describe(report));
  const cure = status === 'fail' || (strict === true && status === 'warn');
  if (cure) process.exitCode = ExitCode.found;
}

const MARKS: Readonly<Record<Status, string>> = { ok: '✓', note: '·', warn: '!', fail: '✗' };
const COLOURS = { ok: 'green', note: 'cyan', warn: 'yellow', fail: 'red' } as const;

function describe({ file, findings: all, facts }: DoctorReport): string {
  const lines = table(all.map(({ status, check, message }) => [MARKS[status], check, message]));
  const width = Math.max(...all.map(({ check }) => check.length)) + 5;
  const shown = lines.split('\n').flatMap((text, i) => {
    const { status, advice } = all[i] as Finding;
    const line = paint(COLOURS[status], text.slice(0, 1)) + text.slice(1);
    if (advice === undefined) return [line];
    return [line, ...wrapped(advice, width).map((each) => paint('dim', each))];
  });
  const { orphans = [], problems = [] } = facts.integrity ?? {};
  const more = [...problems.slice(1).map((problem) => `  ${problem}`), ...orphans.map(orphanLine)];
  const counts = ORDER.slice(1).map((status) => {
    const found = all.filter((finding) => finding.status === status).length;
    return plural(found, status === 'fail' ? 'failure' : status === 'warn' ? 'warning' : 'note');
  });
  return [file, ...shown, ...more, counts.reverse().join(', ')].join('\n');
}

/** Text in lines of at most 100 characters, behind so many spaces. */
function wrapped(text: string, indent: number): string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ')) {
    if (line !== '' && indent + line.length + 1 + word.length > 100) {
      lines.push(line);
      line = '';
    }
    line = line === '' ? word : `${line} ${word}`;
  }
  return [...lines, line].map((each) => ' '.repeat(indent) + each);
}
