import { randomInt } from 'node:crypto';
import { parseArgs } from 'node:util';
import { FAULTS } from './faults.ts';
import type { Report } from './report.ts';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { rounds: { type: 'string' }, minutes: { type: 'string' }, seed: { type: 'string' } },
});

/** A whole number of 1 or more. */
function number(name: keyof typeof values): number | undefined {
  const text = values[name];
  if (text === undefined) return undefined;
  if (!/^[1-9]\d*$/.test(text)) throw new Error(`--${name} must be a number from 1, not '${text}'`);
  return Number(text);
}

const names = positionals.length > 0 ? positionals : Object.keys(FAULTS);
const seed = number('seed') ?? randomInt(1, 2 ** 31);
const rounds = number('rounds');
const minutes = number('minutes');
const failed: string[] = [];

function show({ counts, wrong, skipped }: Report): void {
  if (skipped !== undefined) console.log(`  skipped: ${skipped}`);
  const width = Math.max(0, ...Object.values(counts).map((times) => String(times).length));
  for (const [what, times] of Object.entries(counts)) {
    console.log(`  ${String(times).padStart(width)}  ${what}`);
  }
  for (const each of wrong) console.log(`  WRONG: ${each}`);
}

for (const name of names) {
  if (FAULTS[name] === undefined) {
    throw new Error(`there is no '${name}': ${Object.keys(FAULTS).join(', ')}`);
  }
}
for (const name of names) {
  const fault = FAULTS[name];
  if (fault === undefined) continue;
  const wanted = fault.round === 'minute' ? (minutes ?? rounds) : rounds;
  const tries = { rounds: wanted ?? fault.rounds, seed };
  console.log(`${name}: ${tries.rounds} x ${fault.round}, --seed ${seed}`);
  const started = performance.now();
  const report = await fault.run(tries);
  show(report);
  if (report.wrong.length > 0) failed.push(name);
  console.log(`  ${((performance.now() - started) / 1000).toFixed(1)} s\n`);
}
console.log(failed.length === 0 ? 'every promise held' : `broken: ${failed.join(', ')}`);
if (failed.length > 0) process.exitCode = 1;
