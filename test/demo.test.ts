import { execFile } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, expect, test } from 'vitest';

const root = new URL('..', import.meta.url);
let folder = '';

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'poolite-test-'));
});

afterEach(() => rmSync(folder, { recursive: true, force: true }));

/** What `pnpm demo` runs once the core is built, with so many words more. */
async function demo(...words: string[]): Promise<string> {
  const { scripts } = JSON.parse(readFileSync(new URL('package.json', root), 'utf8')) as {
    scripts: { demo: string };
  };
  const [, command = ''] = scripts.demo.split('&& node ');
  const { stdout } = await promisify(execFile)(
    process.execPath,
    [...command.split(' '), ...words],
    {
      cwd: root,
      env: { ...process.env, TMPDIR: folder, TEMP: folder, TMP: folder },
    },
  );
  return stdout;
}

/** The two figures of each line of that name. */
function figures(report: string, name: string): number[][] {
  return report
    .split('\n')
    .filter((line) => line.trim().startsWith(name))
    .map((line) => {
      const cells = line
        .trim()
        .slice(name.length)
        .trim()
        .split(/\s{2,}/);
      return cells.map((cell) => Number(cell.replaceAll(',', '').replace(/\/s$| ms$/, '')));
    });
}

test('the demo reports real work of both, finds nothing wrong, and leaves no file behind', async () => {
  const report = await demo('--seconds', '0.3', '--rows', '12000');

  expect(report).toMatch(/^Data: .*GeoNames, CC BY 4\.0/m);
  expect(figures(report, 'rows  ')).toEqual([[12_000, 12_000]]);
  for (const [name, times] of [
    ['rows a second', 1],
    ['transactions (32 callers)', 2],
    ['one-shot inserts (64 callers)', 2],
    ['requests for a city or ten', 2],
    ['99 of 100 answered within', 2],
    ['the long query took', 1],
    ['longest standstill of the event loop', 3],
  ] as const) {
    const lines = figures(report, name);
    expect(lines, name).toHaveLength(times);
    for (const line of lines) {
      expect(line, name).toHaveLength(2);
      for (const figure of line) expect(figure, name).toBeGreaterThan(0);
    }
  }
  expect(report.match(/^ {2}ok {5}integrity_check: ok$/gm)).toHaveLength(2);
  expect(report.match(/^ {2}ok {5}[\d,]+ people, as many as before$/gm)).toHaveLength(2);
  expect(report.match(/^ {2}ok /gm)).toHaveLength(10);
  expect(report).not.toContain('FAILED');
  for (const line of report.split('\n')) {
    // The names of cities are as long as they are.
    if (!line.endsWith('km apart.')) expect(line.length, line).toBeLessThanOrEqual(80);
  }
  expect(readdirSync(folder)).toEqual([]);
});

test('the demo refuses a load that is none', async () => {
  await expect(demo('--seconds', 'many')).rejects.toThrow('--seconds and --rows must be numbers');
  expect(readdirSync(folder)).toEqual([]);
});
