import { defineConfig, type Options } from 'tsup';
import { importMetaUrl } from '../../tsup.shared.ts';

const common: Options = {
  target: 'node22',
  sourcemap: true,
  // A worker starts from one file: each entry carries what it needs.
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
    // It must find the thread entry from the CommonJS build too.
    esbuildOptions: importMetaUrl,
  },
  // A thread is a program of its own: whoever starts it, it may be ESM.
  { ...common, entry: { thread: 'src/thread-program.ts' }, format: ['esm'] },
]);
