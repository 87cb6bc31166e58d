import { defineConfig, type Options } from 'tsup';
import { importMetaUrl } from '../../tsup.shared.ts';

const common: Options = {
  target: 'node22',
  sourcemap: true,
  // The writer's thread loads the gate from one file: each entry carries what it needs.
  splitting: false,
  // Without its prefix, `node:sqlite` names a package.
  removeNodeProtocol: false,
};

export default defineConfig([
  {
    ...common,
    entry: { index: 'src/index.ts' },
    format: ['esm', 'cjs'],
    dts: true,
    // It must find the gate from the CommonJS build too.
    esbuildOptions: importMetaUrl,
  },
  // The writer's thread imports it, whoever made the pool: it may be ESM.
  { ...common, entry: { gate: 'src/gate/program.ts' }, format: ['esm'] },
]);
