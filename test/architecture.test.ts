import { readFileSync } from 'node:fs';
import { isBuiltin } from 'node:module';
import { dirname, join } from 'node:path/posix';
import { expect, test } from 'vitest';
import { root, sources } from './docs/blocks.ts';

const CORE = 'packages/core/src';
const MOST_LINES = 400;

/** Every file of the core by its name below `src/`, with its text. */
const files = new Map(
  sources(CORE).map((file) => [
    file.slice(CORE.length + 1),
    readFileSync(new URL(file, root), 'utf8'),
  ]),
);

const GROUND = ['errors.ts', 'deadlines.ts', 'option-checks.ts', 'observing/'];

/**
 * What each room may import beside itself, a room in another before that one; the files that are
 * in none see everything.
 */
const ROOMS: Readonly<Record<string, readonly string[]>> = {
  'reading/': ['threads/', 'statements/', ...GROUND],
  'writing/': ['threads/', 'statements/', ...GROUND],
  'upkeep/checkpoints/': ['upkeep/system/', 'threads/', ...GROUND],
  'upkeep/backups/': ['upkeep/jobs/', 'upkeep/destinations/', 'threads/', ...GROUND],
  'upkeep/restoring/': [
    'upkeep/backups/',
    'upkeep/jobs/',
    'upkeep/destinations/',
    'upkeep/system/',
    'threads/',
    ...GROUND,
  ],
  'upkeep/jobs/': ['upkeep/backups/options.ts', 'threads/', ...GROUND],
  'upkeep/destinations/': ['upkeep/system/', ...GROUND],
  'upkeep/litestream/': ['upkeep/system/', 'threads/', ...GROUND],
  'upkeep/system/': GROUND,
  'upkeep/': ['threads/', 'statements/', ...GROUND],
  'sharing/': ['threads/', 'statements/', ...GROUND],
  'options.ts': [
    'threads/connection.ts',
    'threads/engine.ts',
    'upkeep/backups/options.ts',
    'upkeep/checkpoints/options.ts',
    'upkeep/litestream/options.ts',
    'writing/change-options.ts',
    'sharing/membership.ts',
    'sharing/sharing-options.ts',
    'store.ts',
    'store-options.ts',
    ...GROUND,
  ],
  'threads/': ['statements/', ...GROUND],
  'statements/': GROUND,
  'observing/': GROUND,
  'errors.ts': GROUND,
  'deadlines.ts': GROUND,
  'option-checks.ts': GROUND,
};

/** The only packages that are named are optional, and their types alone: who loads them asks first. */
const TYPES: Readonly<Record<string, string>> = {
  'upkeep/destinations/s3-sdk.ts': '@aws-sdk/client-s3',
};

const IMPORT = /(?:\bfrom|\bimport|\brequire|\bimport\()\s*\(?\s*'([^']+)'/g;

/** The text of a file without its comments, where examples stand. */
function code(file: string): string {
  return (files.get(file) as string).replace(/\/\*[\s\S]*?\*\/|^\s*\/\/.*$/gm, '');
}

function imports(file: string): string[] {
  return [...code(file).matchAll(IMPORT)].map(([, name = '']) => name);
}

/** The file of the core that a relative import names. */
function target(file: string, name: string): string {
  return join(dirname(file), name).replace(/\.js$/, '.ts');
}

function roomOf(file: string): string | undefined {
  return Object.keys(ROOMS).find((room) => isIn(file, room));
}

function isIn(file: string, place: string): boolean {
  return place.endsWith('/') ? file.startsWith(place) : file === place;
}

const names = [...files.keys()].sort();

test('the core has files, and they import one another', () => {
  expect(names.length).toBeGreaterThan(30);
  expect(names.flatMap(imports).length).toBeGreaterThan(names.length);
});

test.each(names)('%s imports what its room may see', (file) => {
  const room = roomOf(file);
  for (const name of imports(file)) {
    if (!name.startsWith('.')) {
      const known = isBuiltin(name) || TYPES[file] === name;
      expect(known, `${file} imports the package ${name}`).toBe(true);
      continue;
    }
    const wanted = target(file, name);
    expect([...files.keys()], `${file} imports ${name}`).toContain(wanted);
    if (room === undefined) continue;
    const allowed = [room, ...(ROOMS[room] ?? [])];
    const fits = allowed.some((place) => isIn(wanted, place));
    expect(fits, `${file} imports ${wanted}: ${room} sees ${allowed.join(', ')}`).toBe(true);
  }
});

test.each(names)(`%s has at most ${MOST_LINES} lines`, (file) => {
  const lines = (files.get(file) as string).split('\n').length - 1;
  expect(lines).toBeLessThanOrEqual(MOST_LINES);
});

test.each(sources('packages/store/src'))(`%s has at most ${MOST_LINES} lines`, (file) => {
  const lines = readFileSync(new URL(file, root), 'utf8').split('\n').length - 1;
  expect(lines).toBeLessThanOrEqual(MOST_LINES);
});

test.each([
  // home.ts looks for the file of the thread by its name, and loads nothing.
  [
    'can load packages',
    /\bcreateRequire\(/,
    ['threads/engine.ts', 'threads/home.ts', 'upkeep/system/optional-package.ts'],
  ],
  ['loads the SQLite library', /\(driver\) as SqliteLibrary/, ['threads/engine.ts']],
  ["asks for Node's own", /\bgetBuiltinModule\('node:sqlite'/, ['threads/node-sqlite.ts']],
  ["has its class's name", /\bDatabaseSync\(/, ['threads/node-sqlite.ts']],
  ['calls its constructor', /\bnew Library\(/, ['threads/connection.ts']],
  ['starts threads', /(?<!function )\bstartProgram\(/, ['threads/job.ts', 'threads/thread.ts']],
  ['has their class', /\bnew Worker\(|\bconstruct\(Worker\b/, ['threads/home.ts']],
  ['is the program of a thread', /\bworkerData as ThreadData\b/, ['threads/entry.ts']],
])('nobody else %s', (_what, pattern, expected) => {
  expect(names.filter((file) => pattern.test(code(file)))).toEqual(expected);
});

test('every folder of the core is in the table of rooms', () => {
  const folders = new Set(names.filter((file) => file.includes('/')).map((file) => dirname(file)));
  const table = readFileSync(new URL('ARCHITECTURE.md', root), 'utf8');
  for (const folder of folders) {
    expect(Object.keys(ROOMS)).toContain(`${folder}/`);
    expect(table).toContain(`\`${folder}/\``);
  }
});

test('every file that ARCHITECTURE.md names is there', () => {
  const text = readFileSync(new URL('ARCHITECTURE.md', root), 'utf8');
  const named = [...text.matchAll(/`((?:[\w-]+\/)*[\w-]+\.ts)`/g)].map(([, file = '']) => file);
  expect(named.length).toBeGreaterThan(20);
  const ofStore = sources('packages/store/src').map((file) => file.split('/src/')[1]);
  const others = new Set([...sources('test'), ...ofStore]);
  for (const file of named) {
    const known = files.has(file) || others.has(file);
    expect(known, file).toBe(true);
  }
});
