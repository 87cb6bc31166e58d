import { expect, test } from 'vitest';
import { part } from './project.ts';
import { tscErrors } from './tsc.ts';
import { adapters, core, OTHERS } from './typed.ts';

const cases = [
  { module: 'node16', moduleResolution: 'node16', exact: true },
  { module: 'nodenext', moduleResolution: 'nodenext', exact: false },
  { module: 'preserve', moduleResolution: 'bundler', exact: true },
] as const;

test.each(cases)(
  'types hold in every file, with $module and $moduleResolution (exact: $exact)',
  async ({ module, moduleResolution, exact }) => {
    const files = { 'core.mts': core, 'core.cts': core, 'core.ts': core, 'adapters.mts': adapters };
    const compilerOptions = {
      ...{ module, moduleResolution, strict: true, skipLibCheck: false, noEmit: true },
      ...{ target: 'es2023', types: ['node'], esModuleInterop: true },
      ...{ exactOptionalPropertyTypes: exact, noUncheckedIndexedAccess: exact },
    };
    const config = JSON.stringify({ compilerOptions, files: Object.keys(files) });
    const folder = part({ ...files, 'tsconfig.json': config });
    const { own, others } = await tscErrors(folder, OTHERS);
    expect(own).toEqual([]);
    if (others.length > 0) console.log(`left alone, in files of others: ${others.length}`);
  },
);

test('what is wrong is found', async () => {
  const wrong = `import { createPool } from '@poolite/core';\nexport const n: string = createPool(7);\n`;
  const compilerOptions = { module: 'node16', strict: true, noEmit: true, types: ['node'] };
  const config = JSON.stringify({ compilerOptions, files: ['wrong.mts'] });
  const { own } = await tscErrors(part({ 'wrong.mts': wrong, 'tsconfig.json': config }), OTHERS);
  expect(own.join('\n')).toMatch(/TS2322[\s\S]*TS2345/);
});
