import { pathToFileURL } from 'node:url';
import { createPool } from '@poolite/core';
import { expect, onTestFinished, test } from 'vitest';
import { runScript } from './support/child.ts';
import { failure, freshFile, openPool, writeModule } from './support/folder.ts';
import { inline } from './support/inline.ts';

const body = `
  db.function('whoami', () => access);
  db.function('twice', { deterministic: true }, (value) => value * 2);
`;

/** The same module in every form that a user may have. */
const forms: Record<string, [name: string, source: string]> = {
  'an ES module': ['setup.mjs', `export default (db, { access }) => {${body}};`],
  'a CommonJS module': ['setup.cjs', `module.exports = (db, { access }) => {${body}};`],
  'a CommonJS module that was compiled from ESM': [
    'setup.cjs',
    `Object.defineProperty(exports, '__esModule', { value: true });
    exports.default = (db, { access }) => {${body}};`,
  ],
  'an ES module with a top-level await': [
    'setup.mjs',
    `const ready = await Promise.resolve(true);
    export default (db, { access }) => { if (ready) {${body}} };`,
  ],
};
if (process.features.typescript) {
  forms['a TypeScript module'] = [
    'setup.ts',
    `interface Context { access: 'read' | 'write' }
    export default (db: any, { access }: Context): void => {${body}};`,
  ];
} else {
  console.log('TypeScript setup modules are not tried: this Node.js does not strip types');
}

for (const [form, [name, source]] of Object.entries(forms)) {
  test(`${form} sets up every connection`, async () => {
    const file = freshFile();
    const pool = openPool(file, { readers: 2, setup: writeModule(file, name, source) });
    const sql = 'SELECT whoami() AS access, twice(21) AS answer';
    const read = { access: 'read', answer: 42 };
    const write = { access: 'write', answer: 42 };
    expect(await Promise.all([1, 2, 3, 4].map(() => pool.get(sql)))).toEqual([
      ...[read, read, read, read],
    ]);
    expect(await pool.get(sql, [], { access: 'write' })).toEqual(write);
    expect(await pool.transaction((tx) => tx.get(sql))).toEqual(write);
    expect(await pool.snapshot((tx) => tx.get(sql))).toEqual(read);
    const lease = await pool.lease('read');
    expect(await lease.get(sql)).toEqual(read);
    await lease.release();
    const rows = [];
    for await (const row of pool.iterate(sql)) rows.push(row);
    expect(rows).toEqual([read]);
    expect(await inline(() => pool.get(sql), pool)).toEqual(read);
  });
}

for (const [where, flags] of [
  ['a script', []],
  ['a script on the command line', ['--input-type=module']],
] as const) {
  test(`${where} may have its setup module in a folder with odd characters`, async () => {
    const file = freshFile();
    const setup = writeModule(file, 'a #%20 b/setup.mjs', forms['an ES module']?.[1] ?? '');
    const source = `
      import { createPool } from '${import.meta.resolve('@poolite/core')}';
      const pool = createPool(${JSON.stringify(file)}, { setup: ${JSON.stringify(setup)} });
      while (pool.stats().reads.inline === 0) await pool.get('SELECT twice(21)');
      console.log(await pool.values('SELECT whoami(), twice(21)'));`;
    const script = flags.length > 0 ? source : { file: writeModule(file, 'script.mjs', source) };
    const ended = await runScript(script);
    expect(ended).toMatchObject({ code: 0, stdout: "[ [ 'read', 42 ] ]\n", stderr: '' });
  });
}

test('a setup module may be named by a file URL or relative to the working directory', async () => {
  const file = freshFile();
  const source = `export default (db) => { db.function('here', () => 'yes'); };`;
  const path = writeModule(file, 'setup.mjs', source);
  const pool = openPool(file, { setup: pathToFileURL(path).href });
  expect(await pool.get('SELECT here() AS here')).toEqual({ here: 'yes' });
});

test('functions of a setup module work in writes, indexes and triggers', async () => {
  const file = freshFile();
  const setup = writeModule(
    file,
    'setup.mjs',
    `export default (db) => { db.function('twice', { deterministic: true }, (n) => n * 2); };`,
  );
  const pool = openPool(file, { setup });
  await pool.exec(`
    CREATE TABLE t (n INTEGER);
    CREATE INDEX doubled ON t (twice(n));
    CREATE TRIGGER more AFTER INSERT ON t WHEN new.n < 4 BEGIN INSERT INTO t VALUES (twice(new.n)); END;
    PRAGMA recursive_triggers = ON;`);
  await pool.runMany('INSERT INTO t VALUES (?)', [[1]]);
  expect(await pool.values('SELECT n FROM t WHERE twice(n) = 2')).toEqual([[1]]);
  expect(await pool.values('SELECT max(n) FROM t')).toEqual([[4]]);
});

test('a replaced thread is set up too', async () => {
  const file = freshFile();
  const setup = writeModule(
    file,
    'setup.mjs',
    `export default (db) => {
      db.function('here', () => 'yes');
      db.function('die', () => process.exit(1));
    };`,
  );
  const pool = openPool(file, { readers: 1, inlineReads: 'off', setup });
  expect((await failure(pool.get('SELECT die()'))).message).toContain('thread');
  expect(await pool.get('SELECT here() AS here')).toEqual({ here: 'yes' });
});

const failing: Record<string, [source: string | undefined, says: RegExp]> = {
  'throws for every connection': [
    `export default () => { throw new Error('no such key'); };`,
    /no such key/,
  ],
  'throws for readers only': [
    `export default (db, { access }) => { if (access === 'read') throw new Error('not for readers'); };`,
    /not for readers/,
  ],
  'throws for the writer only': [
    `export default (db, { access }) => { if (access === 'write') throw new Error('not for the writer'); };`,
    /not for the writer/,
  ],
  'throws on the calling thread only': [
    `import { isMainThread } from 'node:worker_threads';
    export default () => { if (isMainThread) throw new Error('not here'); };`,
    /not here/,
  ],
  'throws what is no Error': [`export default () => { throw 'a string'; };`, /a string/],
  'throws when it is loaded': [
    `throw new Error('bad module'); export default () => {};`,
    /bad module/,
  ],
  'has a syntax error': ['export default (db =>', /Unexpected|Malformed|token/],
  'returns a promise': [`export default async () => {};`, /returned a promise/],
  'returns a promise that rejects': [
    `export default async () => { throw new Error('too late'); };`,
    /returned a promise/,
  ],
  'exports nothing by default': ['export const setup = () => {};', /must export a function/],
  'is missing': [undefined, /setup\.mjs/],
};

for (const [what, [source, says]] of Object.entries(failing)) {
  test(`a setup module that ${what}: a clear error from ready() and from every call`, async () => {
    const file = freshFile();
    const setup =
      source === undefined ? `${file}.setup.mjs` : writeModule(file, 'setup.mjs', source);
    const pool = createPool(file, { setup });
    onTestFinished(() => pool.close({ force: true }));
    const early = [pool.run('CREATE TABLE t (id)'), pool.get('SELECT 1')];
    await Promise.allSettled(early);
    // The writer opens first, the readers next, the calling thread last: each works at once, so
    // what was asked early may have been done where a later one fails.
    const calls = what.includes('only') ? [] : early;
    await failure(pool.ready());
    const later = [pool.ready(), pool.run('CREATE TABLE u (id)'), pool.get('SELECT 2')];
    for (const call of [...calls, ...later]) {
      const error = await failure(call);
      expect(error.message).toMatch(says);
      expect(error.message).toContain(file);
    }
    expect(pool.stats().state).toBe('failed');
    await pool.close();
  });
}

test('a setup module that ends its thread is an error, not a thread that starts for ever', async () => {
  const file = freshFile();
  const setup = writeModule(
    file,
    'setup.mjs',
    `import { isMainThread } from 'node:worker_threads';
    export default () => { if (!isMainThread) process.exit(9); };`,
  );
  const pool = openPool(file, { setup });
  const error = await failure(pool.ready());
  expect(error.message).toMatch(/thread/);
  expect(error.message).toContain(file);
  expect((await failure(pool.get('SELECT 1'))).message).toContain(file);
});
