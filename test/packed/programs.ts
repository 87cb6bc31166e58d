/**
 * A program that has every part of the core load what it needs: readers, the writer, a job, a process
 * of its own, the extension. It prints `done`.
 */
export const coreProgram = `
async function main() {
  const file = process.argv[2];
  const pool = createPool(file, { inlineReads: 'off', statsSocket: true });
  await pool.exec('CREATE TABLE t (a INTEGER)');
  await Promise.all([1, 2, 3].map((a) => pool.run('INSERT INTO t VALUES (?)', [a])));
  await pool.transaction((tx) => tx.run('UPDATE t SET a = a + 1'));
  const { total } = await pool.get('SELECT sum(a) AS total FROM t');
  if (total !== 9) throw new Error('the sum is ' + total);
  const { loaded, reason } = pool.stats().hooks;
  console.log('hooks:', loaded ? 'loaded' : reason);
  const { verdict } = await pool.backup(file + '.backup', { compress: 'gzip', verify: 'full' });
  if (verdict !== 'ok') throw new Error('the backup is ' + verdict);
  await pool.run('BEGIN').then(
    () => { throw new Error('BEGIN went through'); },
    (error) => { if (!PoolError.is(error)) throw error; },
  );
  if ((await runningPools(file)).length !== 1) throw new Error('the pool is not seen');
  await pool.close();
  const server = await startWriterServer(file);
  const guest = createPool(file, { writer: { socketPath: server.socketPath } });
  await guest.run('INSERT INTO t VALUES (7)');
  if (guest.stats().writer.role !== 'client') throw new Error('it wrote by itself');
  await guest.close();
  await server.shutdown();
  console.log('done');
}
main().catch((error) => {
  console.error(error);
  process.exitCode = 1;
});
`;

const names = 'createPool, PoolError, runningPools, startWriterServer';
export const esm = `import { ${names} } from '@poolite/core';\n${coreProgram}`;
export const cjs = `const { ${names} } = require('@poolite/core');\n${coreProgram}`;

const adapters = {
  kysely: `
    const db = new Kysely({ dialect: new PooliteDialect({ database: 'kysely.db' }) });
    console.log((await sql\`SELECT 7 AS n\`.execute(db)).rows);
    await db.destroy();`,
  drizzle: `
    const db = drizzle('drizzle.db');
    console.log(await db.all('SELECT 7 AS n'), typeof migrate);
    await db.$client.close();`,
  typeorm: `
    const source = new DataSource({ type: 'better-sqlite3', driver: poolite(), database: 'typeorm.db' });
    await source.initialize();
    console.log(await source.query('SELECT 7 AS n'));
    await source.destroy();`,
  store: `
    // A pool with a store needs Node.js 24.
    if (Number.parseInt(process.versions.node, 10) < 24) return console.log([{ n: 7 }]);
    const pool = createPool('store.db', { driver: 'node:sqlite', store: folderStore('log') });
    await pool.exec('CREATE TABLE t (n INTEGER PRIMARY KEY); INSERT INTO t VALUES (7)');
    console.log(await pool.all('SELECT n FROM t'), s3Store({ bucket: 'logs' }).where);
    await pool.close();`,
} as const;

const needs = {
  kysely: { '@poolite/kysely': ['PooliteDialect'], kysely: ['Kysely', 'sql'] },
  drizzle: { '@poolite/drizzle': ['drizzle'], '@poolite/drizzle/migrator': ['migrate'] },
  typeorm: { '@poolite/typeorm': ['poolite'], typeorm: ['DataSource'] },
  store: { '@poolite/core': ['createPool'], '@poolite/store': ['folderStore', 's3Store'] },
} as const satisfies Record<keyof typeof adapters, Record<string, readonly string[]>>;

const ways = ['ESM', 'CommonJS'] as const;
type Adapter = keyof typeof adapters;
type Way = (typeof ways)[number];

export const adapterCases = (Object.keys(adapters) as Adapter[]).flatMap((adapter) =>
  ways.map((way) => [adapter, way] as const),
);

/** A program that asks a question through an ORM, or of a replica, and prints `n: 7`. */
export function adapterProgram(adapter: Adapter, way: Way): { file: string; source: string } {
  const lines = Object.entries(needs[adapter]).map(([from, wanted]) =>
    way === 'ESM'
      ? `import { ${wanted.join(', ')} } from '${from}';`
      : `const { ${wanted.join(', ')} } = require('${from}');`,
  );
  const body = `async function main() {${adapters[adapter]}\n}\nmain();`;
  return { file: way === 'ESM' ? 'main.mjs' : 'main.cjs', source: [...lines, body].join('\n') };
}
