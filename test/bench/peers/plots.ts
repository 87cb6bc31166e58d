import type { Line } from '../harness.ts';
import type { Results } from '../results.ts';
import { installPeers } from './install.ts';

interface Vega {
  parse(spec: unknown): unknown;
  View: new (spec: unknown, options: { renderer: 'none' }) => { toSVG(): Promise<string> };
}

interface VegaLite {
  compile(spec: unknown): { spec: unknown };
}

/** Legible on a light page and on a dark one. */
const TEXT = '#808080';
const OURS = '#2f9e6e';
const OTHERS = '#8093b8';

interface Plot {
  file: string;
  title: string;
  scenario: string;
}

const PLOTS: readonly Plot[] = [
  {
    file: 'inserts.svg',
    title: 'Durable one-shot inserts, 64 callers: times better-sqlite3 (more is better)',
    scenario: 'libraries: one-shot inserts, 64 callers, synchronous full',
  },
  {
    file: 'transactions.svg',
    title: 'Transactions of 5 statements, 64 callers: times better-sqlite3 (more is better)',
    scenario: 'libraries: transactions of 5 statements, 64 callers, synchronous full',
  },
  {
    file: 'reads.svg',
    title: 'Point reads, 64 callers: times better-sqlite3 (more is better)',
    scenario: 'libraries: point reads, 64 callers',
  },
  {
    file: 'slow-query.svg',
    title: 'p99 of quick reads beside a slow query: times better-sqlite3 (less is better)',
    scenario: 'libraries: p99 of quick reads beside a query of 400 ms',
  },
];

/** To the first contender: the table has each adapter's ratio to its own ORM too. */
function ratioOf(line: Line, first: Line): number | null {
  return line.median === null || first.median === null ? null : line.median / first.median;
}

function specOf({ title, scenario }: Plot, lines: readonly Line[]): unknown {
  const [first] = lines as [Line, ...Line[]];
  const values = lines.map((line) => {
    const ratio = ratioOf(line, first);
    return {
      contender: line.contender,
      ratio: ratio ?? 0,
      label: ratio === null ? 'failed' : `${Number(ratio.toPrecision(2))}x`,
      ours: line.contender.includes('poolite'),
    };
  });
  const axis = { labelColor: TEXT, titleColor: TEXT, domainColor: TEXT, tickColor: TEXT };
  const y = {
    field: 'contender',
    type: 'nominal',
    sort: null,
    axis: { ...axis, title: null, labelLimit: 260 },
  };
  return {
    $schema: 'https://vega.github.io/schema/vega-lite/v6.json',
    description: scenario,
    title: { text: title, color: TEXT, anchor: 'start', fontSize: 13 },
    background: 'transparent',
    width: 460,
    height: { step: 20 },
    data: { values },
    encoding: { y },
    layer: [
      {
        mark: { type: 'bar', cornerRadiusEnd: 2 },
        encoding: {
          x: {
            field: 'ratio',
            type: 'quantitative',
            axis: { ...axis, title: null, gridColor: TEXT, gridOpacity: 0.25, tickCount: 6 },
          },
          color: {
            condition: { test: 'datum.ours', value: OURS },
            value: OTHERS,
          },
        },
      },
      {
        mark: { type: 'text', align: 'left', dx: 4, color: TEXT },
        encoding: {
          x: { field: 'ratio', type: 'quantitative' },
          text: { field: 'label', type: 'nominal' },
        },
      },
    ],
    config: { view: { stroke: null }, font: 'sans-serif' },
  };
}

/** Drawn without a browser. A scenario that was not run has no plot. */
export async function drawPlots(results: Results): Promise<{ name: string; svg: string }[]> {
  await installPeers();
  const names = ['vega', 'vega-lite'] as const;
  const vega = (await import(names[0] as string)) as Vega;
  const { compile } = (await import(names[1] as string)) as VegaLite;
  const plots: { name: string; svg: string }[] = [];
  for (const plot of PLOTS) {
    const lines = results.lines.filter(({ scenario }) => scenario === plot.scenario);
    if (lines.length === 0) continue;
    const view = new vega.View(vega.parse(compile(specOf(plot, lines)).spec), { renderer: 'none' });
    plots.push({ name: plot.file, svg: `${await view.toSVG()}\n` });
  }
  return plots;
}
