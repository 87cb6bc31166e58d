import { expect, test } from 'vitest';
import { part } from './project.ts';
import { tscErrors } from './tsc.ts';

const core = `
import { createPool, PoolError, type Pool, type PoolOptions, type Transaction } from '@poolite/core';
import { extensionFile } from '@poolite/hooks';

const options: PoolOptions = { synchronous: 'full', backups: { directory: 'backups' } };
const pool: Pool = createPool('app.db', options);
export async function main(): Promise<number> {
  const row = await pool.get<{ n: number }>('SELECT 1 AS n', [], { signal: AbortSignal.timeout(9) });
  const two = await pool.transaction(async (tx: Transaction) => (await tx.all('SELECT 2')).length);
  // @ts-expect-error: there is no such option.
  createPool('app.db', { unknown: true });
  // @ts-expect-error: a date cannot be bound.
  await pool.run('INSERT INTO t VALUES (?)', [new Date()]);
  const code = new PoolError('POOL_MISUSE', extensionFile()).code.length;
  return (row?.n ?? 0) + two + code;
}
`;

const adapters = `
import { drizzle } from '@poolite/drizzle';
import { migrate } from '@poolite/drizzle/migrator';
import { PooliteDialect } from '@poolite/kysely';
import { poolite, PooliteDataSource } from '@poolite/typeorm';
import { integer, sqliteTable } from 'drizzle-orm/sqlite-core';
import { Kysely } from 'kysely';
import { DataSource } from 'typeorm';

const t = sqliteTable('t', { a: integer().notNull() });
export async function main(): Promise<number> {
  const db = drizzle('app.db', { schema: { t } });
  await migrate(db, { migrationsFolder: 'drizzle' });
  const [row] = await db.select().from(t);
  const kysely = new Kysely<{ t: { a: number } }>({ dialect: new PooliteDialect({ database: 'a' }) });
  const other = await kysely.selectFrom('t').selectAll().executeTakeFirstOrThrow();
  const driver = poolite({ readers: 2 });
  const source: DataSource = new DataSource({ type: 'better-sqlite3', driver, database: 'app.db' });
  const own: DataSource = new PooliteDataSource({ database: 'app.db', pool: { readers: 2 } });
  // @ts-expect-error: there is no such option.
  poolite({ unknown: true });
  return (row?.a ?? 0) + other.a + Number(source.isInitialized) + Number(own.isInitialized);
}
`;

const cases = [
  { module: 'node16', moduleResolution: 'node16', exact: true },
  { module: 'nodenext', moduleResolution: 'nodenext', exact: false },
  { module: 'preserve', moduleResolution: 'bundler', exact: true },
] as const;

/** The files of ORMs may have faults of their own, and types of databases that nobody installed. */
const OTHERS = /^(?:\.\.\/)*node_modules\/(?!@poolite\/)/;

test.each(cases)(
  'types hold in every file, with $module and $moduleResolution (exact: $exact)',
  async ({ module, moduleResolution, exact }) => {
    const files = { 'core.mts': core, 'core.cts': core, 'core.ts': core, 'adapters.mts': adapters };
    const compilerOptions = {
      ...{ module, moduleResolution, strict: true, skipLibCheck: false, noEmit: true },
      ...{ target: 'es2023', types: ['node'], esModuleInterop: true },
      ...{ exactOptionalPropertyTypes: exact, noUncheckedIndexedAccess: exact },
    };
    const config = JSON.stringify({ compilerOptions, files: Object.keys(files) });
    const folder = part({ ...files, 'tsconfig.json': config });
    const { own, others } = await tscErrors(folder, OTHERS);
    expect(own).toEqual([]);
    if (others.length > 0) console.log(`left alone, in files of others: ${others.length}`);
  },
);

test('what is wrong is found', async () => {
  const wrong = `import { createPool } from '@poolite/core';\nexport const n: string = createPool(7);\n`;
  const compilerOptions = { module: 'node16', strict: true, noEmit: true, types: ['node'] };
  const config = JSON.stringify({ compilerOptions, files: ['wrong.mts'] });
  const { own } = await tscErrors(part({ 'wrong.mts': wrong, 'tsconfig.json': config }), OTHERS);
  expect(own.join('\n')).toMatch(/TS2322[\s\S]*TS2345/);
});
