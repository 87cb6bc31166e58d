import { randomInt } from 'node:crypto';
import { parseArgs } from 'node:util';
import { FAULTS, type Fault } from './faults.ts';
import type { Report, Tries } from './report.ts';

/** What was asked for cannot be done: it says so, and ends. */
function refuse(message: string): never {
  console.error(message);
  process.exit(2);
}

function asked() {
  try {
    const text = { type: 'string' } as const;
    const options = { rounds: text, minutes: text, seed: text };
    return parseArgs({ allowPositionals: true, options });
  } catch (error) {
    return refuse((error as Error).message);
  }
}

const { values, positionals } = asked();

/** A whole number of 1 or more. */
function number(name: keyof typeof values): number | undefined {
  const text = values[name];
  if (text === undefined) return undefined;
  if (!/^[1-9]\d*$/.test(text)) refuse(`--${name} must be a number from 1, not '${text}'`);
  return Number(text);
}

const names = positionals.length > 0 ? positionals : Object.keys(FAULTS);
const seed = number('seed') ?? randomInt(1, 2 ** 31);
const rounds = number('rounds');
const minutes = number('minutes');
const failed: string[] = [];

function faultOf(name: string): Fault {
  return FAULTS[name] ?? refuse(`there is no '${name}': ${Object.keys(FAULTS).join(', ')}`);
}

function show({ counts, wrong, skipped }: Report): void {
  if (skipped !== undefined) console.log(`  skipped: ${skipped}`);
  const width = Math.max(0, ...Object.values(counts).map((times) => String(times).length));
  for (const [what, times] of Object.entries(counts)) {
    console.log(`  ${String(times).padStart(width)}  ${what}`);
  }
  for (const each of wrong) console.log(`  WRONG: ${each}`);
}

/** Whether its promises held. */
async function held(fault: Fault, tries: Tries): Promise<boolean> {
  try {
    const report = await fault.run(tries);
    show(report);
    return report.wrong.length === 0;
  } catch (error) {
    // The others are tried all the same.
    console.log(`  WRONG: ${(error as Error).stack}`);
    return false;
  }
}

for (const [name, fault] of names.map((each) => [each, faultOf(each)] as const)) {
  const wanted = fault.round === 'minute' ? (minutes ?? rounds) : rounds;
  const tries = { rounds: wanted ?? fault.rounds, seed };
  console.log(`${name}: ${tries.rounds} x ${fault.round}, --seed ${seed}`);
  const started = performance.now();
  if (!(await held(fault, tries))) failed.push(name);
  console.log(`  ${((performance.now() - started) / 1000).toFixed(1)} s\n`);
}
console.log(
  failed.length === 0 ? 'every promise that was tried held' : `broken: ${failed.join(', ')}`,
);
if (failed.length > 0) process.exitCode = 1;
