import { defineConfig, type Options } from 'tsup';

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
    // `import.meta.url` must find the thread entry from the CommonJS build too. tsup's own shim
    // takes a wrong turn where a folder's name holds `#` or `%`, and where a test runner defines
    // `document`.
    esbuildOptions(options, { format }) {
      if (format !== 'cjs') return;
      options.define = { ...options.define, 'import.meta.url': 'importMetaUrl' };
      options.banner = {
        js: "'use strict';\nconst importMetaUrl = require('node:url').pathToFileURL(__filename).href;",
      };
    },
  },
  // A thread is a program of its own: whoever starts it, it may be ESM.
  { ...common, entry: { thread: 'src/thread-program.ts' }, format: ['esm'] },
]);
