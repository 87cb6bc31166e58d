import { defineConfig } from 'vitest/config';

/** By its own command, `pnpm test:s3`: it needs a server that few have installed. */
export default defineConfig({
  test: {
    include: ['**/*.s3.ts'],
    pool: 'forks',
    // Each starts three servers.
    fileParallelism: false,
    testTimeout: 120_000,
    hookTimeout: 180_000,
  },
});
