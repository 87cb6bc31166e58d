import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { cpus, release, totalmem } from 'node:os';
import Database from 'better-sqlite3';
import type { Line } from './harness.ts';

export interface Machine {
  node: string;
  platform: string;
  cpu: string;
  cores: number;
  memoryGiB: number;
  sqlite: string;
}

/** When a scenario was run, and the load average of the machine at its end. */
export interface Run {
  scenario: string;
  at: string;
  load: number;
}

export interface Results {
  machine: Machine;
  runs: Run[];
  lines: Line[];
}

export function machine(): Machine {
  const db = new Database(':memory:');
  const sqlite = db.prepare('SELECT sqlite_version()').pluck().get() as string;
  db.close();
  const [cpu] = cpus();
  return {
    node: process.version,
    platform: `${process.platform} ${process.arch}, ${release().split('-')[0]}`,
    cpu: cpu?.model.trim() ?? 'unknown',
    cores: cpus().length,
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    sqlite,
  };
}

export const describe = ({ node, platform, cpu, cores, memoryGiB, sqlite }: Machine): string =>
  `Node.js ${node}, SQLite ${sqlite} in better-sqlite3, ${platform}, ${cores} cores (${cpu}), ${memoryGiB} GiB`;

export function read(file: string): Results {
  return JSON.parse(readFileSync(file, 'utf8')) as Results;
}

/** Writes what was run; what else the file holds, of scenarios that were not run now, stays. */
export function save(file: string, results: Results): void {
  const before = existsSync(file) ? read(file) : undefined;
  const now = new Set(results.runs.map(({ scenario }) => scenario));
  const kept = <T extends { scenario: string }>(all: readonly T[] = []): T[] =>
    all.filter(({ scenario }) => !now.has(scenario));
  const merged: Results = {
    machine: results.machine,
    runs: [...kept(before?.runs), ...results.runs],
    lines: [...kept(before?.lines), ...results.lines],
  };
  writeFileSync(file, `${JSON.stringify(merged, undefined, 2)}\n`);
}
