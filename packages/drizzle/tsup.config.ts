import { defineConfig } from 'tsup';

export default defineConfig({
  // Everything for one version of drizzle-orm is in one folder: another version gets its own.
  entry: { index: 'src/0.45/index.ts', migrator: 'src/0.45/migrator.ts' },
  format: ['esm', 'cjs'],
  dts: true,
  target: 'node22',
  sourcemap: true,
  // Without its prefix, `node:sqlite` names a package.
  removeNodeProtocol: false,
});
