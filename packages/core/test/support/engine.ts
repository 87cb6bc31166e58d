import { fileURLToPath } from 'node:url';
import { test } from 'vitest';

/** Whether the tests run with Node's own SQLite: `pnpm test:node-sqlite`. */
export const onNodeSqlite = process.env.TEST_DRIVER === 'node:sqlite';

/** What a child process needs so that it uses the same library. */
export const engineFlags: readonly string[] = onNodeSqlite
  ? ['--import', fileURLToPath(new URL('./node-sqlite/register.mjs', import.meta.url))]
  : [];

/** Tests of what only better-sqlite3 does, or only with it: the reason is printed where they are skipped. */
export function withBetterSqlite(reason: string): typeof test.skip {
  if (!onNodeSqlite) return test as unknown as typeof test.skip;
  console.log(`skipped with node:sqlite: ${reason}`);
  return test.skip;
}
