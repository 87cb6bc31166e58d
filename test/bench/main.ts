import { mkdirSync } from 'node:fs';
import { loadavg } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { comparison, endMembers } from './comparison.ts';
import { backups } from './core/backup.ts';
import { bulk } from './core/bulk.ts';
import { engines } from './core/engines.ts';
import { hooks } from './core/hooks.ts';
import { inserts } from './core/inserts.ts';
import { stall, startUp, stuckReader } from './core/latency.ts';
import { largeReads, pointReads } from './core/reads.ts';
import { sharing } from './core/sharing.ts';
import { sharedCommits, transactions } from './core/transactions.ts';
import { wal } from './core/wal.ts';
import { drizzle } from './drizzle.ts';
import { type Line, printLines, runScenario, type Scenario, setScale } from './harness.ts';
import { kysely } from './kysely.ts';
import { report } from './report.ts';
import { describe, machine, type Run, save } from './results.ts';
import { store } from './store.ts';
import { typeorm } from './typeorm.ts';

const scenarios: readonly Scenario[] = [
  ...comparison,
  inserts('full'),
  inserts('normal'),
  transactions,
  sharedCommits,
  pointReads,
  largeReads,
  stall,
  stuckReader,
  startUp,
  ...engines,
  bulk,
  ...hooks,
  ...sharing,
  ...wal,
  ...backups,
  ...kysely,
  ...drizzle,
  ...typeorm,
  ...store,
];

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    json: { type: 'string' },
    report: { type: 'string' },
    rounds: { type: 'string' },
    quick: { type: 'boolean', default: false },
  },
});
if (values.quick) setScale(0.2);
const chosen = scenarios.filter(
  ({ name, long }) =>
    !(values.quick && long === true) &&
    (positionals.length === 0 || positionals.some((word) => name.includes(word))),
);
if (chosen.length === 0) {
  console.error(`no scenario has ${positionals.join(' or ')} in its name; there are:`);
  for (const { name } of scenarios) console.error(`  ${name}`);
  process.exit(2);
}

console.log(describe(machine()));
const lines: Line[] = [];
const runs: Run[] = [];
if (values.report !== undefined) mkdirSync(values.report, { recursive: true });

/** After each scenario: a run takes long, and what ends it early must not take all with it. */
function keep(): void {
  const results = { machine: machine(), runs, lines };
  if (values.json !== undefined) save(values.json, results);
  if (values.report !== undefined) save(join(values.report, 'results.json'), results);
}

for (const scenario of chosen) {
  const rounds = Number(values.rounds ?? (values.quick ? 1 : scenario.rounds));
  const result = await runScenario({ ...scenario, rounds });
  printLines(result);
  lines.push(...result);
  runs.push({
    scenario: scenario.name,
    at: new Date().toISOString(),
    load: loadavg()[0] as number,
  });
  keep();
}
endMembers();
if (values.report !== undefined) await report(values.report);
