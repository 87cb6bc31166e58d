import { existsSync } from 'node:fs';
import { registerHooks } from 'node:module';
import { fileURLToPath } from 'node:url';

/** In the tests' child processes: what the aliases of vitest.node-sqlite.config.ts do for the tests. */
const ALIASES = { '@poolite/core': './core.ts', 'better-sqlite3': './better-sqlite3.ts' };
const BUILT = new URL('../../../dist/index.js', import.meta.url).href;

registerHooks({
  resolve(specifier, context, next) {
    const isBuilt =
      specifier === BUILT && context.parentURL !== new URL('./core.ts', import.meta.url).href;
    const alias = ALIASES[isBuilt ? '@poolite/core' : specifier];
    if (alias !== undefined)
      return { url: new URL(alias, import.meta.url).href, shortCircuit: true };
    // TypeScript's own name for a file that is compiled.
    if (specifier.startsWith('.') && specifier.endsWith('.js') && context.parentURL) {
      const url = new URL(specifier.replace(/js$/, 'ts'), context.parentURL);
      if (url.protocol === 'file:' && existsSync(fileURLToPath(url))) {
        return { url: url.href, shortCircuit: true };
      }
    }
    return next(specifier, context);
  },
});
