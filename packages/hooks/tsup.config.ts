import { defineConfig } from 'tsup';

export default defineConfig({
  entry: ['src/index.ts'],
  format: ['esm', 'cjs'],
  dts: true,
  target: 'node22',
  sourcemap: true,
  // Without its prefix, `node:sqlite` names a package.
  removeNodeProtocol: false,
  // As in the core: tsup's own shim takes a wrong turn in folders with special names.
  esbuildOptions(options, { format }) {
    if (format !== 'cjs') return;
    options.define = { ...options.define, 'import.meta.url': 'importMetaUrl' };
    options.banner = {
      js: "'use strict';\nconst importMetaUrl = require('node:url').pathToFileURL(__filename).href;",
    };
  },
});
