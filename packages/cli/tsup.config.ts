import { defineConfig } from 'tsup';

export default defineConfig({
  // A thread starts from a file of its own.
  entry: { main: 'src/main.ts', 'inspector-thread': 'src/inspector-thread.ts' },
  format: ['esm'],
  target: 'node22',
  sourcemap: true,
  splitting: false,
  // Without its prefix, `node:sqlite` names a package.
  removeNodeProtocol: false,
});
