import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';

interface Step {
  readonly uses?: string;
  readonly run?: string;
}

interface Job {
  readonly needs?: string | readonly string[];
  readonly uses?: string;
  readonly steps?: readonly Step[];
  readonly permissions?: Readonly<Record<string, string>>;
  readonly strategy?: { readonly matrix: Readonly<Record<string, readonly unknown[]>> };
}

interface Workflow {
  readonly on: Readonly<Record<string, unknown>>;
  readonly permissions: Readonly<Record<string, string>>;
  readonly jobs: Readonly<Record<string, Job>>;
}

const root = new URL('../../', import.meta.url);
const folder = new URL('.github/workflows/', root);
const read = (file: string) => readFileSync(new URL(file, folder), 'utf8');
const workflow = (file: string) => parse(read(file), { strict: true }) as Workflow;
const { scripts, engines } = JSON.parse(readFileSync(new URL('package.json', root), 'utf8')) as {
  scripts: Record<string, string>;
  engines: { node: string };
};

describe.each(readdirSync(folder))('%s', (file) => {
  const { jobs, permissions } = workflow(file);
  const all = Object.values(jobs);
  const steps = all.flatMap((job) => job.steps ?? []);

  test('may do nothing but read, where a job does not say more', () => {
    expect(permissions).toEqual({ contents: 'read' });
  });

  test('names each action by its commit, and the version that this is', () => {
    const lines = read(file).match(/^.*\buses: (?!\.\/).*$/gm) ?? [];
    expect(lines.length).toBeGreaterThan(0);
    for (const line of lines)
      expect(line).toMatch(/uses: [\w-]+\/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$/);
  });

  test('runs scripts that exist, and needs jobs that exist', () => {
    const text = steps.map(({ run = '' }) => run).join('\n');
    const named = [...text.matchAll(/^npx -y pnpm@12 (?:run )?([\w:]+)$/gm)].map(
      ([, name]) => name,
    );
    for (const name of named) expect(Object.keys(scripts), name).toContain(name);
    for (const [, path = ''] of text.matchAll(/\bnode ([\w./-]+\.m?[jt]s)/g)) {
      expect(existsSync(new URL(path, root)), path).toBe(true);
    }
    for (const { uses, needs = [] } of all) {
      if (uses !== undefined) expect(existsSync(new URL(uses, root)), uses).toBe(true);
      for (const need of [needs].flat()) expect(Object.keys(jobs)).toContain(need);
    }
  });
});

test('CI tests each Node.js that is supported, the oldest first, on each system', () => {
  const { matrix } = workflow('ci.yml').jobs.test?.strategy ?? {};
  expect(matrix?.node).toEqual([22, 24, 26]);
  expect(engines.node.startsWith(`>=${matrix?.node?.[0]}.`)).toBe(true);
  const systems = (matrix?.os ?? []).map((name) => String(name).split('-')[0]);
  expect(systems).toEqual(['ubuntu', 'macos', 'windows']);
});

test('the release builds the extension first, and publishes with provenance', () => {
  const { jobs } = workflow('release.yml');
  expect(jobs.extension?.uses).toBe('./.github/workflows/hooks.yml');
  expect(workflow('hooks.yml').on).toHaveProperty('workflow_call');
  expect(jobs.publish?.needs).toBe('extension');
  expect(jobs.publish?.permissions).toMatchObject({ 'id-token': 'write' });
  for (const name of readdirSync(new URL('packages/', root))) {
    const own = JSON.parse(readFileSync(new URL(`packages/${name}/package.json`, root), 'utf8'));
    expect(own.publishConfig, name).toEqual({ access: 'public', provenance: true });
  }
});
