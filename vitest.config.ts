import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    projects: ['packages/*/vitest.config.ts', 'test/vitest.config.ts'],
    maxWorkers: 2,
    reporters: ['default', './test/support/closing-line.ts'],
  },
});
