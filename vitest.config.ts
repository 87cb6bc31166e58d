import { rmSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';

// The workers, their threads and the programs that they start load the same files again and again.
// It begins anew with each run: else it would keep every build for ever.
const compiled = fileURLToPath(new URL('./node_modules/.cache/compiled', import.meta.url));
rmSync(compiled, { recursive: true, force: true });
process.env.NODE_COMPILE_CACHE ??= compiled;

export default defineConfig({
  test: {
    projects: ['packages/*/vitest.config.ts', 'test/vitest.config.ts'],
    maxWorkers: 2,
    reporters: ['default', './test/support/closing-line.ts'],
  },
});
