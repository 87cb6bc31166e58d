import { existsSync } from 'node:fs';
import * as module from 'node:module';
import { fileURLToPath } from 'node:url';

/**
 * Lets Node.js run the sources of the packages, which import one another by the names that they have once
 * built. Vitest does so by itself.
 */
module.registerHooks({
  resolve(specifier, context, next) {
    if (specifier.startsWith('.') && specifier.endsWith('.js') && context.parentURL !== undefined) {
      const source = new URL(specifier.replace(/\.js$/, '.ts'), context.parentURL);
      if (source.protocol === 'file:' && existsSync(fileURLToPath(source))) {
        return next(source.href, context);
      }
    }
    return next(specifier, context);
  },
});
