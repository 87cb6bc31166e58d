import type { Options } from 'tsup';

/**
 * `import.meta.url` in the CommonJS build too. tsup's own shim takes a wrong turn where a folder's
 * name holds `#` or `%`, and where a test runner defines `document`.
 */
export const importMetaUrl: NonNullable<Options['esbuildOptions']> = (options, { format }) => {
  if (format !== 'cjs') return;
  options.define = { ...options.define, 'import.meta.url': 'importMetaUrl' };
  options.banner = {
    js: "'use strict';\nconst importMetaUrl = require('node:url').pathToFileURL(__filename).href;",
  };
};
