import { createRequire } from 'node:module';
import { expect, test } from 'vitest';

const require = createRequire(import.meta.url);

test('both builds export the same names', async () => {
  const imported = Object.keys(await import('@poolite/store'));
  const required = Object.keys(require('@poolite/store'));
  expect(imported.length).toBeGreaterThan(0);
  expect(imported.sort()).toEqual(required.filter((name) => name !== 'default').sort());
});

test('the gate is a module of its own, with one default export', async () => {
  const gate = await import('@poolite/store/gate' as string);
  expect(Object.keys(gate)).toEqual(['default']);
  expect(gate.default).toBeTypeOf('function');
});
