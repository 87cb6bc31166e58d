import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { drizzle } from '@poolite/drizzle';
import { migrate } from '@poolite/drizzle/migrator';
import { expect, onTestFinished, test } from 'vitest';

const example = fileURLToPath(new URL('../examples/drizzle/', import.meta.url));
const found = createRequire(join(example, 'package.json')).resolve('drizzle-kit');
const kit = join(dirname(found), 'bin.cjs');

const RECORDS = 'SELECT hash, created_at FROM __drizzle_migrations ORDER BY created_at';

function freshFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'poolite-kit-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** A command of drizzle-kit, with the example's own config unless it brings its own. */
async function run(file: string, ...args: string[]): Promise<string> {
  const env = { ...process.env, DATABASE: file };
  const options = { cwd: example, env, timeout: 100_000 };
  const { stdout } = await promisify(execFile)(process.execPath, [kit, ...args], options);
  return stdout;
}

test('drizzle-kit works on the file of an open pool, and agrees with its migrator', async () => {
  const folder = freshFolder();
  const file = join(folder, 'poll.db');
  const db = drizzle(file);
  onTestFinished(() => db.$client.close({ force: true }));

  // What the example ships is what its schema says, whoever applies it.
  await run(file, 'migrate');
  const applied = await db.all(RECORDS);
  expect(applied).toHaveLength(2);
  await migrate(db, { migrationsFolder: join(example, 'drizzle') });
  expect(await db.all(RECORDS)).toEqual(applied);
  expect(await run(file, 'push')).toContain('No changes detected');

  const at = ['--dialect', 'sqlite', '--url', file, '--out', join(folder, 'found')];
  await run(file, 'introspect', ...at);
  const schema = readFileSync(join(folder, 'found', 'schema.ts'), 'utf8');
  expect(schema).toContain('export const vote = sqliteTable("vote"');

  // Generated anew, in one piece.
  const out = join(folder, 'made');
  const from = ['--dialect', 'sqlite', '--schema', 'schema.ts', '--casing', 'snake_case'];
  await run(file, 'generate', ...from, '--out', out);
  const fresh = drizzle(join(folder, 'fresh.db'));
  onTestFinished(() => fresh.$client.close({ force: true }));
  await migrate(fresh, { migrationsFolder: out });
  const columns = `SELECT t.name AS "table", c.name, c.type, c."notnull", c.dflt_value, c.pk
    FROM sqlite_schema AS t, pragma_table_info(t.name) AS c
    WHERE t.type = 'table' AND t.name IN ('option', 'vote') ORDER BY 1, c.cid`;
  expect(await fresh.all(columns)).toEqual(await db.all(columns));
}, 120_000);
