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

/** The builds of a library of which one program runs by itself on a thread: that may be ESM, and is one file. */
export function withProgram(program: Record<string, string>): Options[] {
  const common: Options = {
    target: 'node22',
    sourcemap: true,
    // A program starts from one file: each entry carries what it needs.
    splitting: false,
    // Without its prefix, `node:sqlite` names a package.
    removeNodeProtocol: false,
  };
  return [
    {
      ...common,
      entry: { index: 'src/index.ts' },
      format: ['esm', 'cjs'],
      dts: true,
      // It must find the program from the CommonJS build too.
      esbuildOptions: importMetaUrl,
    },
    { ...common, entry: program, format: ['esm'] },
  ];
}
