import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** One contender at one work: returns what it achieved, in the scenario's unit. */
export interface Contender {
  name: string;
  round(): Promise<number>;
  close?(): Promise<void> | void;
}

/** One line of the result: a contender against the baseline of its scenario. */
export interface Line {
  scenario: string;
  contender: string;
  unit: string;
  median: number;
  low: number;
  high: number;
  /** Against the first contender of the scenario: the median of what the rounds say. */
  ratio: number;
  /** What an issue asked of the ratio or the figure, and whether it was met. */
  wanted?: string;
  met?: boolean;
}

export interface Scenario {
  name: string;
  unit: string;
  /** The first is the baseline. */
  contenders(folder: string): Promise<Contender[]>;
  rounds: number;
  /** The least (or most) that a contender must reach: of the ratio, or of the figure itself. */
  wanted?: Record<string, { ratio?: number; atMostRatio?: number; atMost?: number }>;
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[sorted.length >> 1] as number;
}

function judge(line: Line, wanted: NonNullable<Scenario['wanted']>[string]): void {
  if (wanted.ratio !== undefined) {
    line.wanted = `>= ${wanted.ratio}x`;
    line.met = line.ratio >= wanted.ratio;
  } else if (wanted.atMostRatio !== undefined) {
    line.wanted = `<= ${wanted.atMostRatio}x`;
    line.met = line.ratio <= wanted.atMostRatio;
  } else if (wanted.atMost !== undefined) {
    line.wanted = `<= ${wanted.atMost} ${line.unit}`;
    line.met = line.median <= wanted.atMost;
  }
}

/**
 * Runs a scenario: the contenders take turns, round by round, each of them first in one of them, so that
 * whatever else the machine does falls on all alike. One round of each goes before, to warm up.
 */
export async function runScenario(scenario: Scenario): Promise<Line[]> {
  const folder = mkdtempSync(join(tmpdir(), 'poolite-bench-'));
  const contenders = await scenario.contenders(folder);
  const results = contenders.map((): number[] => []);
  try {
    for (let round = -1; round < scenario.rounds; round++) {
      for (let turn = 0; turn < contenders.length; turn++) {
        const i = (turn + Math.max(round, 0)) % contenders.length;
        const result = await (contenders[i] as Contender).round();
        if (round >= 0) (results[i] as number[]).push(result);
      }
    }
  } finally {
    for (const contender of contenders) await contender.close?.();
    rmSync(folder, { recursive: true, force: true });
  }
  const baseline = results[0] as number[];
  return contenders.map(({ name }, i) => {
    const values = results[i] as number[];
    const line: Line = {
      scenario: scenario.name,
      contender: name,
      unit: scenario.unit,
      median: median(values),
      low: Math.min(...values),
      high: Math.max(...values),
      ratio: median(values.map((value, round) => value / (baseline[round] as number))),
    };
    const wanted = scenario.wanted?.[name];
    if (wanted !== undefined) judge(line, wanted);
    return line;
  });
}

/** Calls `work` until so many ms are over, from so many callers at once; calls per second. */
export async function perSecond(
  callers: number,
  ms: number,
  work: (caller: number) => Promise<unknown>,
): Promise<number> {
  let calls = 0;
  const started = performance.now();
  const until = started + ms;
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
  const until = started + ms;
  while (performance.now() < until) {
    work();
    calls++;
  }
  return (calls * 1000) / (performance.now() - started);
}

const number = new Intl.NumberFormat('en', { maximumSignificantDigits: 3 });

export function printLines(lines: readonly Line[]): void {
  let scenario = '';
  for (const line of lines) {
    if (line.scenario !== scenario) {
      scenario = line.scenario;
      console.log(`\n${scenario} (${line.unit})`);
    }
    const range = `${number.format(line.low)} … ${number.format(line.high)}`;
    const verdict =
      line.wanted === undefined ? '' : `${line.met ? 'met' : 'MISSED'} ${line.wanted}`;
    console.log(
      `  ${line.contender.padEnd(34)} ${number.format(line.median).padStart(10)}  ` +
        `${`${line.ratio.toFixed(2)}x`.padStart(9)}  ${range.padEnd(22)} ${verdict}`,
    );
  }
}
