import { defineConfig } from 'tsup';
import { importMetaUrl } from '../../tsup.shared.ts';

export default defineConfig({
  entry: ['src/index.ts'],
  format: ['esm', 'cjs'],
  dts: true,
  target: 'node22',
  sourcemap: true,
  // Without its prefix, `node:sqlite` names a package.
  removeNodeProtocol: false,
  esbuildOptions: importMetaUrl,
});
