import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { runScript } from './support/child.ts';
import { freshFile, writeModule } from './support/folder.ts';

const hungry = `export default (db) => {
  db.function('exhaust', () => {
    let last;
    for (;;) last = { last };
  });
};`;

test('threads that run out of memory are replaced, and nothing else is', async () => {
  const file = freshFile();
  const ended = await runScript(
    `
    import { createPool } from '@poolite/core';
    const pool = createPool(process.argv[1], { readers: 1, inlineReads: 'off', setup: process.argv[2] });
    process.on('unhandledRejection', (error) => console.log('unhandled', error));
    const causes = [];
    pool.on('threadLost', ({ role, cause }) => causes.push(role + ' ' + cause.code));
    const code = (call) => call.then((value) => value, (error) => error.code);
    const told = {};
    await pool.run('CREATE TABLE t (id INTEGER PRIMARY KEY, big)');
    const reads = [1, 2, 3].map((i) => code(pool.get('SELECT ? AS i', [i])));
    told.read = await code(pool.get('SELECT exhaust()'));
    told.reads = await Promise.all(reads);
    told.write = await code(pool.run('INSERT INTO t VALUES (1, exhaust())'));
    told.transaction = await code(pool.transaction(async (tx) => {
      await tx.run('INSERT INTO t VALUES (2, 0)');
      await tx.run('INSERT INTO t VALUES (3, exhaust())');
    }));
    told.after = await code(pool.run('INSERT INTO t VALUES (4, 0)'));
    told.rows = await pool.values('SELECT id FROM t');
    told.causes = causes;
    await pool.close();
    console.log(JSON.stringify(told));`,
    {
      args: [file, writeModule(file, 'hungry.mjs', hungry)],
      flags: ['--max-old-space-size=32'],
    },
  );
  expect(ended.stderr).toBe('');
  const told = JSON.parse(ended.stdout);
  expect(told).toMatchObject({
    read: 'POOL_THREAD_LOST',
    reads: [{ i: 1 }, { i: 2 }, { i: 3 }],
    write: expect.stringMatching(/^POOL_(THREAD_LOST|OUTCOME_UNKNOWN)$/),
    transaction: 'POOL_THREAD_LOST',
    after: { changes: 1 },
    rows: [[4]],
    causes: [
      'reader ERR_WORKER_OUT_OF_MEMORY',
      'writer ERR_WORKER_OUT_OF_MEMORY',
      'writer ERR_WORKER_OUT_OF_MEMORY',
    ],
  });
  expect(ended.code).toBe(0);
});

test('a script that waits for nothing but a dying thread hears of it before it ends', async () => {
  const file = freshFile();
  const setup = writeModule(
    file,
    'deadly.mjs',
    `export default (db) => { db.function('die', () => process.exit(1)); };`,
  );
  for (const call of [
    `pool.get('SELECT die()')`,
    `pool.run('SELECT die()')`,
    `pool.snapshot((tx) => tx.get('SELECT die()'))`,
    `pool.transaction((tx) => tx.get('SELECT die()'))`,
    `pool.iterate('SELECT die()').next()`,
  ]) {
    const ended = await runScript(
      `import { createPool } from '@poolite/core';
      const pool = createPool(process.argv[1], { inlineReads: 'off', setup: process.argv[2] });
      await ${call}.catch((error) => console.log(error.code));
      console.log(await pool.get('SELECT 1 AS one'));`,
      { args: [file, setup] },
    );
    expect(ended.stdout, call).toMatch(/^POOL_(THREAD_LOST|OUTCOME_UNKNOWN)\n\{ one: 1 \}\n$/);
    expect(ended, call).toMatchObject({ code: 0, stderr: '' });
  }
  expect(readFileSync(file).length).toBeGreaterThan(0);
});
