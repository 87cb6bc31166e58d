import { defineConfig } from 'vitest/config';

/** By its own command, `pnpm test:packed`: it installs a project of its own from the registry. */
export default defineConfig({
  test: {
    include: ['**/*.packed.ts'],
    globalSetup: './setup.ts',
    pool: 'forks',
    maxWorkers: 1,
    testTimeout: 600_000,
    hookTimeout: 600_000,
  },
});
