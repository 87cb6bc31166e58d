import { existsSync, readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { parse } from 'yaml';
import { program } from '../../packages/cli/src/program.js';
import { FAULTS } from '../chaos/faults.ts';
import { packages, pageBlocks, pages, root } from './blocks.ts';

interface Manifest {
  name: string;
  scripts: Record<string, string>;
  peerDependencies?: Record<string, string>;
}

function manifest(folder: string): Manifest {
  return JSON.parse(readFileSync(new URL(`${folder}package.json`, root), 'utf8')) as Manifest;
}

const blocks = pageBlocks();
const shell = blocks.filter(({ language }) => language === 'sh');

/** Such a line is right where what it names is there. It is not run: tests would run themselves. */
function check(line: string): void {
  const script = /^(?:npx -y -p node@24 -p pnpm@12 -- )?pnpm (\w+)$/.exec(line)?.[1];
  if (script !== undefined) return expect(manifest('').scripts, line).toHaveProperty(script);
  const faults = /^pnpm test:chaos((?: [a-z-]+)*)((?: --(?:rounds|minutes|seed) \d+)*)$/.exec(
    line,
  )?.[1];
  if (faults !== undefined) {
    const named = faults.split(' ').filter((name) => name !== '');
    return expect(Object.keys(FAULTS), line).toEqual(expect.arrayContaining(named));
  }
  const bench = /^pnpm bench(.*)$/.exec(line)?.[1];
  if (bench !== undefined) {
    const source = readFileSync(new URL('test/bench/main.ts', root), 'utf8');
    for (const [, option = ''] of bench.matchAll(/ --([a-z]+)/g)) expect(source).toContain(option);
    return;
  }
  const installed = /^npm install ([^-].*)$/.exec(line)?.[1]?.split(' ');
  if (installed !== undefined) {
    const all = packages().map((folder) => manifest(`${folder}/`));
    const peers = all.flatMap(({ peerDependencies = {} }) => Object.keys(peerDependencies));
    const known = [...all.map(({ name }) => name), ...peers];
    return expect(known, line).toEqual(expect.arrayContaining(installed));
  }
  const single = /^pnpm build && pnpm vitest run (\S+)$/.exec(line)?.[1];
  if (single !== undefined) return expect(existsSync(new URL(single, root)), line).toBe(true);
  const words = /^npx poolite (.+)$/.exec(line)?.[1]?.split(' ');
  if (words !== undefined) {
    const command = program().commands.find((each) => each.name() === words[0]);
    const known = command?.options.map(({ long }) => long);
    const named = words.filter((word) => word.startsWith('--'));
    return expect(known, line).toEqual(expect.arrayContaining(named));
  }
  expect.unreachable(`nobody knows whether this line is right: ${line}`);
}

test.each(shell)('$where is a command that exists', ({ text }) => {
  const lines = text.trimEnd().split('\n');
  expect(lines.length).toBeGreaterThan(0);
  for (const line of lines) check(line);
});

test.each(['README.md', 'packages/core/README.md'])('%s gives the two commands', (page) => {
  const alone = shell.filter((block) => block.page === page).map(({ text }) => text);
  expect(alone).toContain('npx -y -p node@24 -p pnpm@12 -- pnpm demo\n');
  expect(alone).toContain('npx -y -p node@24 -p pnpm@12 -- pnpm test\n');
});

test('every block says what language it is in', () => {
  const known = ['ts', 'js', 'sh', 'yaml', 'text', 'mermaid'];
  const others = blocks.filter(({ language }) => !known.includes(language));
  expect(others.map(({ where }) => where)).toEqual([]);
});

/** What `pnpm run docs` is not told of, it does not look at. */
test('the reference covers every package that is imported, and wants each symbol documented', () => {
  const { entryPoints, packagesRequiringDocumentation } = JSON.parse(
    readFileSync(new URL('typedoc.json', root), 'utf8'),
  ) as { entryPoints: string[]; packagesRequiringDocumentation: string[] };
  const imported = packages().filter((folder) => 'types' in manifest(`${folder}/`));
  const names = imported.map((folder) => manifest(`${folder}/`).name);
  expect(packagesRequiringDocumentation).toEqual(names);
  const covered = new Set(entryPoints.map((path) => path.split('/').slice(0, 2).join('/')));
  expect([...covered]).toEqual(imported);
});

test.each(blocks.filter(({ language }) => language === 'yaml'))('$where is YAML', ({ text }) => {
  expect(parse(text, { strict: true })).toBeTypeOf('object');
});

const LINK = /\]\((?!https?:)([^)#\s]*)(?:#([^)\s]+))?\)/g;

/** The anchor that a heading gets on GitHub. */
function anchor(heading: string): string {
  const plain = heading.replace(/`/g, '').trim().toLowerCase();
  return plain.replace(/[^\p{L}\p{N} _-]/gu, '').replaceAll(' ', '-');
}

test.each(pages())('every link of %s leads somewhere', (page) => {
  const url = new URL(page, root);
  const text = readFileSync(url, 'utf8');
  for (const [whole, path = '', hash] of text.matchAll(LINK)) {
    const target = path === '' ? url : new URL(path, url);
    expect(existsSync(target), whole).toBe(true);
    if (hash === undefined) continue;
    const headings = readFileSync(target, 'utf8').match(/^#+ .*$/gm) ?? [];
    const anchors = headings.map((heading) => anchor(heading.replace(/^#+ /, '')));
    expect(anchors, whole).toContain(hash);
  }
});
