import { expect } from 'vitest';
import { Child } from '../support/child.ts';

/** Opens a pool in a process of its own, and does what it is told: an expression over `pool`. */
const MEMBER = `
  import { createPool } from '@poolite/core';
  const [file, options] = process.argv.slice(1);
  const pool = createPool(file, { writer: 'shared', readers: 1, ...JSON.parse(options) });
  await pool.ready();
  const told = [];
  pool.on('writer', (message) => told.push(message.role));
  process.on('message', async (text) => {
    try {
      const run = eval('(async () => (' + text + '))');
      process.send({ value: await run() });
    } catch (error) {
      process.send({ code: error.code, message: error.message });
    }
  });
  process.send('ready');
`;

export async function member(file: string, options: object = {}): Promise<Child> {
  const child = new Child(MEMBER, [file, JSON.stringify(options)]);
  expect(await child.message()).toBe('ready');
  return child;
}
