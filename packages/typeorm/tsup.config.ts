import { defineConfig } from 'tsup';

export default defineConfig({
  entry: ['src/index.ts'],
  format: ['esm', 'cjs'],
  dts: true,
  target: 'node22',
  sourcemap: true,
  // Without its prefix, `node:sqlite` names a package.
  removeNodeProtocol: false,
});
