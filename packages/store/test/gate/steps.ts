import { expect } from 'vitest';
import { MemoryLog } from './memory-log.ts';
import { Nodes } from './node.ts';

/** What a machine runs: a statement in a commit of its own, or a list in one transaction. */
export type Steps = readonly (string | readonly string[])[];

/**
 * Runs the steps on two machines in turn, or all `on` the first; after each, the other catches up and has the same,
 * and so has a third at the end, which applies all in one go.
 */
export function followed(steps: Steps, on: 'both' | 'one' = 'both'): void {
  using nodes = new Nodes();
  const log = new MemoryLog();
  const a = nodes.open(log, 'a.db');
  const b = nodes.open(log, 'b.db');
  for (const [index, step] of steps.entries()) {
    const [writes, follows] = on === 'both' && index % 2 === 1 ? [b, a] : [a, b];
    if (typeof step === 'string') writes.run(step);
    else {
      writes.transaction(() => {
        for (const sql of step) writes.statement(sql);
      });
    }
    follows.pull();
    expect(follows.content(), String(step)).toEqual(writes.content());
  }
  const c = nodes.open(log, 'c.db');
  c.pull();
  expect(c.content()).toEqual(a.content());
  expect(a.content()).toMatchObject({ integrity: [{ integrity_check: 'ok' }] });
}
