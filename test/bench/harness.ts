import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** One contender at one work: returns what it achieved, in the scenario's unit; what it throws is told. */
export interface Contender {
  name: string;
  /** The contender that its ratio is against; default: the first of the scenario. */
  against?: string;
  round(): Promise<number>;
  close?(): Promise<void> | void;
}

/** One line of the result: a contender against the baseline of its scenario. */
export interface Line {
  scenario: string;
  contender: string;
  unit: string;
  /** Whether the greater figure is the better one, or the smaller. */
  better: 'more' | 'less';
  rounds: number;
  /** Of the rounds' figures; null for a contender that failed, as in all that follow. */
  median: number | null;
  low: number | null;
  high: number | null;
  /** The contender that the ratio is against. */
  against: string;
  /** The median of what the rounds say; null too where the other one failed. */
  ratio: number | null;
  /** Why there is no figure: the contender could not run, failed, or did not keep what it acknowledged. */
  error?: string;
  /** What an issue asked of the ratio or the figure, and whether it was met. */
  wanted?: string;
  met?: boolean;
}

export interface Scenario {
  name: string;
  unit: string;
  /** Default: 'less' where the unit is a time or a size, else 'more'. */
  better?: 'more' | 'less';
  /** The first is the baseline. */
  contenders(folder: string): Promise<Contender[]>;
  rounds: number;
  /** Rounds of each before those that count; default: 1. V8 compiles by how often something ran. */
  warmUps?: number;
  /** What takes longer than a few seconds whatever the rounds is left out of a quick run. */
  long?: true;
  /** The least (or most) that a contender must reach: of the ratio, or of the figure itself. */
  wanted?: Record<
    string,
    { ratio?: number; atMostRatio?: number; atMost?: number; atLeast?: number }
  >;
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[sorted.length >> 1] as number;
}

/** By how much rounds are shortened, for a quick run. */
let scale = 1;

export function setScale(to: number): void {
  scale = to;
}

export const isQuick = (): boolean => scale < 1;

/** How long a round takes that takes so many ms in a run that is not quick. */
export const scaled = (ms: number): number => ms * scale;

function judge(line: Line, wanted: NonNullable<Scenario['wanted']>[string]): void {
  const { ratio, median: figure } = line;
  if (wanted.ratio !== undefined) {
    line.wanted = `>= ${wanted.ratio}x`;
    line.met = ratio !== null && ratio >= wanted.ratio;
  } else if (wanted.atMostRatio !== undefined) {
    line.wanted = `<= ${wanted.atMostRatio}x`;
    line.met = ratio !== null && ratio <= wanted.atMostRatio;
  } else if (wanted.atMost !== undefined) {
    line.wanted = `<= ${wanted.atMost} ${line.unit}`;
    line.met = figure !== null && figure <= wanted.atMost;
  } else if (wanted.atLeast !== undefined) {
    line.wanted = `>= ${wanted.atLeast} ${line.unit}`;
    line.met = figure !== null && figure >= wanted.atLeast;
  }
}

interface Result {
  contender: Contender;
  values: number[];
  error?: string;
}

const SMALL_IS_GOOD = new Set(['ms', 'us', 'MB', 'looks']);

function lineOf(scenario: Scenario, results: readonly Result[], result: Result): Line {
  const { contender, values, error } = result;
  const [first] = results as [Result, ...Result[]];
  const against = contender.against ?? first.contender.name;
  const other = results.find((each) => each.contender.name === against) ?? first;
  const failed = error !== undefined;
  const line: Line = {
    scenario: scenario.name,
    contender: contender.name,
    unit: scenario.unit,
    better: scenario.better ?? (SMALL_IS_GOOD.has(scenario.unit) ? 'less' : 'more'),
    rounds: values.length,
    median: failed ? null : median(values),
    low: failed ? null : Math.min(...values),
    high: failed ? null : Math.max(...values),
    against,
    ratio:
      failed || other.error !== undefined
        ? null
        : median(values.map((value, round) => value / (other.values[round] as number))),
    ...(failed ? { error } : {}),
  };
  const wanted = scenario.wanted?.[contender.name];
  if (wanted !== undefined) judge(line, wanted);
  return line;
}

/**
 * Runs a scenario: the contenders take turns, round by round, each of them first in one of them, so that
 * whatever else the machine does falls on all alike. One round of each goes before, or more, to warm up. A
 * contender that fails is told of with its error, and runs no more.
 */
export async function runScenario(scenario: Scenario): Promise<Line[]> {
  const folder = mkdtempSync(join(tmpdir(), 'poolite-bench-'));
  const contenders = await scenario.contenders(folder);
  const results = contenders.map((contender): Result => ({ contender, values: [] }));
  try {
    for (let round = -(scenario.warmUps ?? 1); round < scenario.rounds; round++) {
      for (let turn = 0; turn < contenders.length; turn++) {
        const result = results[(turn + Math.max(round, 0)) % contenders.length] as Result;
        if (result.error !== undefined) continue;
        try {
          const value = await result.contender.round();
          if (round >= 0) result.values.push(value);
        } catch (error) {
          result.error = error instanceof Error ? error.message : String(error);
        }
      }
    }
  } finally {
    for (const contender of contenders) await contender.close?.();
    rmSync(folder, { recursive: true, force: true });
  }
  return results.map((result) => lineOf(scenario, results, result));
}

/** Calls `work` until so many ms are over, from so many callers at once; calls per second. */
export async function perSecond(
  callers: number,
  ms: number,
  work: (caller: number) => Promise<unknown>,
): Promise<number> {
  let calls = 0;
  const started = performance.now();
  const until = started + scaled(ms);
  const call = async (caller: number) => {
    while (performance.now() < until) {
      await work(caller);
      calls++;
    }
  };
  await Promise.all(Array.from({ length: callers }, (_, caller) => call(caller)));
  return (calls * 1000) / (performance.now() - started);
}

/** The same for a synchronous call. */
export function perSecondSync(ms: number, work: () => unknown): number {
  let calls = 0;
  const started = performance.now();
  const until = started + scaled(ms);
  while (performance.now() < until) {
    work();
    calls++;
  }
  return (calls * 1000) / (performance.now() - started);
}

const number = new Intl.NumberFormat('en', { maximumSignificantDigits: 3 });

const shown = (value: number | null): string => (value === null ? '-' : number.format(value));

export function printLines(lines: readonly Line[]): void {
  let scenario = '';
  for (const line of lines) {
    if (line.scenario !== scenario) {
      scenario = line.scenario;
      console.log(`\n${scenario} (${line.unit})`);
    }
    const range = `${shown(line.low)} … ${shown(line.high)}`;
    const ratio = line.ratio === null ? '-' : `${line.ratio.toFixed(2)}x`;
    const verdict =
      line.wanted === undefined ? '' : `${line.met ? 'met' : 'MISSED'} ${line.wanted}`;
    const figures = `${shown(line.median).padStart(10)}  ${range.padEnd(22)}`;
    console.log(
      `  ${ratio.padStart(9)}  ${line.contender.padEnd(34)} ` +
        (line.error === undefined ? `${figures} ${verdict}` : `FAILED: ${line.error} ${verdict}`),
    );
  }
}
