import { causeOf } from './causes.ts';
import { READERS } from './contenders/contender.ts';
import type { Line } from './harness.ts';
import { describe, type Results } from './results.ts';

const number = new Intl.NumberFormat('en', { maximumSignificantDigits: 3 });
const PREFIX = 'libraries: ';

/** The tables of the comparison: which works stand side by side. */
export const GROUPS: readonly { title: string; of: RegExp }[] = [
  { title: 'Reads', of: /^(point reads|ranges|reads of)/ },
  { title: 'One-shot inserts, synchronous normal', of: /^one-shot inserts.*normal/ },
  { title: 'One-shot inserts, synchronous full', of: /^one-shot inserts.*full/ },
  { title: 'One-shot updates, synchronous normal', of: /^one-shot updates.*normal/ },
  { title: 'One-shot updates, synchronous full', of: /^one-shot updates.*full/ },
  { title: 'Transactions, bulk, mixed', of: /^(transactions|56|bulk|80)/ },
  { title: 'Beside a slow query, and during a backup', of: /^(p99|event loop|backup|longest)/ },
  { title: 'Processes, start, memory', of: /^(8 processes|import|memory)/ },
];

const escaped = (text: string) => text.replaceAll('|', '\\|').replaceAll('\n', ' ');

/** What all names of a table have in common stands in its title. */
const shortened = (name: string) =>
  name
    .replace(PREFIX, '')
    .replace(/^one-shot (inserts|updates), /, '')
    .replace(/, synchronous (normal|full)$/, '');

export function groupsOf(results: Results): { title: string; lines: Line[] }[] {
  const lines = results.lines.filter(({ scenario }) => scenario.startsWith(PREFIX));
  return GROUPS.map(({ title, of }) => ({
    title,
    lines: lines.filter(({ scenario }) => of.test(scenario.slice(PREFIX.length))),
  })).filter((group) => group.lines.length > 0);
}

/** Two digits behind the point, or what is left of a ratio that is smaller. */
const ratioText = (ratio: number) => `${ratio < 0.1 ? ratio.toPrecision(1) : ratio.toFixed(2)}x`;

function cell(line: Line | undefined, footnotes: string[]): string {
  if (line === undefined) return '';
  if (line.error !== undefined) {
    const note = `${line.contender}, ${shortened(line.scenario)}: ${escaped(line.error)}`;
    footnotes.push(note);
    return `**FAILED** (${footnotes.length})`;
  }
  const figures = `${number.format(line.median as number)} (${number.format(line.low as number)} … ${number.format(line.high as number)})`;
  return line.ratio === null ? figures : `**${ratioText(line.ratio)}** ${figures}`;
}

function groupTable(title: string, lines: readonly Line[]): string[] {
  const scenarios = [...new Set(lines.map(({ scenario }) => scenario))];
  const contenders = [...new Set(lines.map(({ contender }) => contender))];
  const footnotes: string[] = [];
  const heads = scenarios.map((name) => {
    const { unit } = lines.find(({ scenario }) => scenario === name) as Line;
    return `${shortened(name)}, ${unit}`;
  });
  const rows = contenders.map((contender) => {
    const cells = scenarios.map((name) =>
      cell(
        lines.find((line) => line.scenario === name && line.contender === contender),
        footnotes,
      ),
    );
    return `| ${contender} | ${cells.join(' | ')} |`;
  });
  return [
    `## ${title}`,
    '',
    `| | ${heads.join(' | ')} |`,
    `| --- |${' --- |'.repeat(heads.length)}`,
    ...rows,
    '',
    ...footnotes.map((note, i) => `${i + 1}. ${note}`),
    ...(footnotes.length > 0 ? [''] : []),
  ];
}

function floorsTable(lines: readonly Line[]): string[] {
  const floors = lines.filter(({ wanted }) => wanted !== undefined);
  if (floors.length === 0) return [];
  const missed = floors.filter(({ met }) => !met).length;
  const rows = floors.map((line) => {
    const ratio = line.ratio === null ? '-' : ratioText(line.ratio);
    const figure = line.median === null ? (line.error ?? '-') : number.format(line.median);
    const verdict = line.met ? 'met' : '**missed**';
    const cause = line.met ? '' : causeOf(line);
    return `| ${line.scenario} | ${line.contender} | ${ratio} | ${escaped(figure)} ${line.unit} | ${line.wanted} | ${verdict} | ${cause} |`;
  });
  return [
    '## What was asked for',
    '',
    `${floors.length - missed} of ${floors.length} are met in this run. The ratio is against the first contender of the scenario.`,
    '',
    '| scenario | contender | ratio | median | wanted | | cause |',
    '| --- | --- | --- | --- | --- | --- | --- |',
    ...rows,
    '',
  ];
}

/** The results as a page: ratios first, then medians with the lowest and highest round. */
export function tableOf(results: Results): string {
  const loads = results.runs.map(({ load }) => load);
  const times = results.runs.map(({ at }) => at).sort();
  return [
    '# Measured',
    '',
    `${describe(results.machine)}.`,
    '',
    `Run from ${times[0]} to ${times.at(-1)}. The load average, with what the benchmark itself does, was ` +
      `between ${number.format(Math.min(...loads))} and ${number.format(Math.max(...loads))}; the machine is virtual ` +
      'and shares its cores and disk with others. The contenders take turns, so that it falls on all alike: read ' +
      'the ratios, not the figures. To repeat it:',
    '',
    '```sh',
    'pnpm bench --report docs/bench',
    '```',
    '',
    "**Ratio** median (lowest … highest round). The ratio is the median of the rounds' ratios to better-sqlite3, " +
      "and of each `@poolite/…` adapter to its ORM's own driver on better-sqlite3. Where the unit is a time or a size, " +
      'less is better. After each round the rows, sums and balances that are stored are compared with what was ' +
      'acknowledged; who fails, or mixes transactions, has an error instead of a figure. better-sqlite3, node:sqlite, ' +
      'libsql and sqlite-pool answer on the calling thread: any number of callers is one for them. The pools have ' +
      `${READERS} readers, by their default they would have one for each core but the first.`,
    '',
    ...groupsOf(results).flatMap(({ title, lines }) => groupTable(title, lines)),
    ...floorsTable(results.lines),
  ].join('\n');
}
