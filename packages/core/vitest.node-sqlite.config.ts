import { fileURLToPath } from 'node:url';
import { defineConfig, mergeConfig } from 'vitest/config';
import { project } from '../../vitest.shared.ts';

const support = (name: string) =>
  fileURLToPath(new URL(`./test/support/node-sqlite/${name}`, import.meta.url));

/**
 * The core's whole suite with Node's own SQLite, by `pnpm test:node-sqlite`: the tests' pools, their
 * own connections, and those of their child processes.
 */
export default mergeConfig(
  project('core'),
  defineConfig({
    resolve: {
      alias: [
        { find: /^@poolite\/core$/, replacement: support('core.ts') },
        { find: /^better-sqlite3$/, replacement: support('better-sqlite3.ts') },
      ],
    },
    test: { name: 'core with node:sqlite', env: { TEST_DRIVER: 'node:sqlite' } },
  }),
);
