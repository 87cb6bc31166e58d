import { defineConfig } from 'tsup';

/** Node.js runs no decorators: they are written out beforehand. */
export default defineConfig({
  entry: ['src/main.ts'],
  format: ['esm'],
  target: 'node22',
  clean: true,
});
