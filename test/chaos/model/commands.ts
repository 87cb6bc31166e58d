import type { CheckpointMode, Pool } from '@poolite/core';
import fc from 'fast-check';
import { COUNT, type Model, type System } from './system.ts';
import { type End, OUTCOMES, WRITES, type WriteKind, write } from './writes.ts';

type Command = fc.AsyncCommand<Model, System>;

type Rows = [number, number][];

/** Ways to read all entries. */
const READS: Readonly<Record<string, (pool: Pool, sql: string) => Promise<Rows>>> = {
  values: (pool, sql) => pool.values<[number, number]>(sql),
  snapshot: (pool, sql) =>
    pool.snapshot(async (tx) => {
      const rows = await tx.values<[number, number]>(sql);
      const again = await tx.values<[number, number]>(sql);
      if (JSON.stringify(rows) !== JSON.stringify(again)) throw new Error('two states were seen');
      return rows;
    }),
  iterate: async (pool, sql) => {
    const rows: Rows = [];
    for await (const row of pool.iterate<Rows[number]>(sql, [], { rows: 'array', chunkSize: 2 })) {
      rows.push(row);
    }
    return rows;
  },
  lease: async (pool, sql) => {
    const lease = await pool.lease('read');
    try {
      return await lease.values<[number, number]>(sql);
    } finally {
      await lease.release();
    }
  },
};

class Write implements Command {
  readonly kind: string;
  readonly end: End;
  readonly isAwaited: boolean;

  constructor(kind: string, end: End, isAwaited: boolean) {
    this.kind = kind;
    this.end = end;
    this.isAwaited = isAwaited;
  }

  check(): boolean {
    return true;
  }

  async run(model: Model, system: System): Promise<void> {
    system.check();
    const kind = WRITES[this.kind] as WriteKind;
    const number = model.entries.size + 1;
    const known = { parts: kind.parts, state: 'under way' } as { parts: number; state: string };
    model.entries.set(number, known as never);
    if (this.end === 'dies' && model.isOpen) model.harm = true;
    if (this.end !== 'well') system.report.count('harm done');
    const expected = model.isOpen ? OUTCOMES[this.end] : ['POOL_CLOSED', ...OUTCOMES[this.end]];
    const answer = write(system.pool, kind, number, this.end);
    system.report.count(this.kind);
    const call = system.call(model, `write, ${this.end}`, answer, expected, (outcome) => {
      const isUnknown = outcome === 'POOL_OUTCOME_UNKNOWN';
      known.state = outcome === 'stored' ? 'stored' : isUnknown ? 'unknown' : 'absent';
    });
    if (this.isAwaited) await call;
  }

  toString(): string {
    return `${this.isAwaited ? 'await ' : ''}${this.kind}(${this.end})`;
  }
}

class Read implements Command {
  readonly kind: string;
  readonly dies: boolean;
  readonly isAwaited: boolean;

  constructor(kind: string, dies: boolean, isAwaited: boolean) {
    this.kind = kind;
    this.dies = dies;
    this.isAwaited = isAwaited;
  }

  check(): boolean {
    return true;
  }

  async run(model: Model, system: System): Promise<void> {
    system.check();
    if (this.dies && model.isOpen) model.harm = true;
    const expected = this.dies ? ['POOL_THREAD_LOST'] : ['stored'];
    if (!model.isOpen) expected.push('POOL_CLOSED');
    // What is certain when the read is asked for, it must show.
    const certain = [...model.entries]
      .filter(([, { state }]) => state === 'stored' || state === 'absent')
      .map(([number]) => number);
    const sql = this.dies ? 'SELECT die(1), 1' : COUNT;
    const read = (READS[this.kind] as (typeof READS)[string])(system.pool, sql);
    const answer = read.then((rows) => {
      if (!this.dies) system.compare(model, new Map(rows), certain, `a read (${this.kind})`);
    });
    system.report.count(`read by ${this.kind}`);
    const what = `read, ${this.dies ? 'dies' : 'well'}`;
    const call = system.call(model, what, answer, expected, () => {});
    if (this.isAwaited) await call;
  }

  toString(): string {
    return `${this.isAwaited ? 'await ' : ''}${this.kind}(${this.dies ? 'dies' : ''})`;
  }
}

class Settle implements Command {
  check(): boolean {
    return true;
  }

  async run(model: Model, system: System): Promise<void> {
    system.report.count('settled');
    await system.settle(model);
  }

  toString(): string {
    return 'settle()';
  }
}

class Checkpoint implements Command {
  readonly mode: CheckpointMode;

  constructor(mode: CheckpointMode) {
    this.mode = mode;
  }

  check({ isOpen }: Readonly<Model>): boolean {
    return isOpen;
  }

  async run(model: Model, system: System): Promise<void> {
    system.check();
    const answer = system.pool.checkpoint(this.mode);
    system.call(model, 'checkpoint', answer, ['stored'], () => {});
  }

  toString(): string {
    return `checkpoint(${this.mode})`;
  }
}

class Close implements Command {
  readonly force: boolean;

  constructor(force: boolean) {
    this.force = force;
  }

  check({ isOpen }: Readonly<Model>): boolean {
    return isOpen;
  }

  async run(model: Model, system: System): Promise<void> {
    system.check();
    model.isOpen = false;
    model.harm = true;
    system.report.count('closed');
    if (this.force) system.report.count('closed by force');
    await system.pool.close({ force: this.force });
    // Nobody is left waiting by a pool that is closed.
    await system.settle(model);
  }

  toString(): string {
    return `close(${this.force ? 'force' : ''})`;
  }
}

class Open implements Command {
  check({ isOpen }: Readonly<Model>): boolean {
    return !isOpen;
  }

  async run(model: Model, system: System): Promise<void> {
    system.check();
    system.report.count('opened again');
    system.open();
    model.isOpen = true;
  }

  toString(): string {
    return 'open()';
  }
}

const isAwaited = fc.boolean();

/** Any mix of calls, deaths, closes. Calls go on by themselves unless they are awaited. */
export function commands(most: number): fc.Arbitrary<Iterable<Command>> {
  const writes = Object.entries(WRITES).map(([kind, { ends }]) =>
    fc
      .tuple(
        fc.oneof(
          { weight: 3, arbitrary: fc.constant<End>('well') },
          { weight: 2, arbitrary: fc.constantFrom(...ends) },
        ),
        isAwaited,
      )
      .map(([end, awaited]): Command => new Write(kind, end, awaited)),
  );
  const dies = fc.oneof(
    { weight: 6, arbitrary: fc.constant(false) },
    { weight: 1, arbitrary: fc.constant(true) },
  );
  const read = fc
    .tuple(fc.constantFrom(...Object.keys(READS)), dies, isAwaited)
    .map(([kind, deadly, awaited]): Command => new Read(kind, deadly, awaited));
  const mode = fc.constantFrom<CheckpointMode>('PASSIVE', 'FULL', 'RESTART', 'TRUNCATE');
  return fc.commands(
    [
      ...writes,
      ...writes,
      read,
      read,
      fc.constant<Command>(new Settle()),
      mode.map((each): Command => new Checkpoint(each)),
      fc.boolean().map((force): Command => new Close(force)),
      // Most of a plan is for an open pool.
      ...Array.from({ length: 8 }, () => fc.constant<Command>(new Open())),
    ],
    { maxCommands: most, size: 'max' },
  );
}
