import { fileURLToPath } from 'node:url';
import { createPool, type Pool } from '@poolite/core';
import Database from 'better-sqlite3';
import { PATIENT } from '../entries.ts';
import type { Report } from '../report.ts';

export const MAKE_ENTRIES = 'CREATE TABLE entry (number INTEGER NOT NULL, part INTEGER NOT NULL)';
export const COUNT = 'SELECT number, count(*) FROM entry GROUP BY number';

const setup = fileURLToPath(new URL('./deadly.mjs', import.meta.url));

/** What callers may hear while threads die or the pool is closed. */
const HARM = ['POOL_THREAD_LOST', 'POOL_OUTCOME_UNKNOWN', 'POOL_CLOSED'];

/** What is known of an entry. */
export interface Known {
  readonly parts: number;
  state: 'under way' | 'stored' | 'absent' | 'unknown';
}

/** What there must be. */
export interface Model {
  isOpen: boolean;
  /** Whether threads may have died, or the pool was closed, since all was settled last. */
  harm: boolean;
  readonly entries: Map<number, Known>;
}

/** What there is: the file, a pool on it, and the calls that are not answered. */
export class System {
  readonly report: Report;
  readonly file: string;
  pool: Pool;
  readonly #underWay = new Set<Promise<void>>();
  #wrong: Error | undefined;

  constructor(file: string, report: Report) {
    this.file = file;
    this.report = report;
    this.pool = this.open();
  }

  open(): Pool {
    this.pool = createPool(this.file, {
      ...{ readers: 1, setup, ...PATIENT },
    });
    this.pool.on('threadLost', () => this.report.count('threads that died'));
    return this.pool;
  }

  /**
   * Lets a call go on by itself.
   *
   * @param expected the codes it may end with where no harm is done beside it; `stored` where it goes well.
   */
  call(
    model: Model,
    what: string,
    answer: Promise<unknown>,
    expected: readonly string[],
    answered: (outcome: string) => void,
  ): Promise<void> {
    const call = outcomeOf(answer).then((outcome) => {
      this.report.count(`${what}: ${outcome}`);
      answered(outcome);
      const isExpected = expected.includes(outcome) || (model.harm && HARM.includes(outcome));
      if (!isExpected) this.fail(`${what} ended with ${outcome}, not ${expected}`);
      this.#underWay.delete(call);
    });
    this.#underWay.add(call);
    return call;
  }

  /** What is wrong is thrown by the command that comes next. */
  fail(message: string): void {
    this.#wrong ??= new Error(message);
  }

  check(): void {
    if (this.#wrong !== undefined) throw this.#wrong;
  }

  /** All calls have been answered: what is stored is what their callers heard. */
  async settle(model: Model): Promise<void> {
    await Promise.all(this.#underWay);
    model.harm = false;
    this.check();
    const db = new Database(this.file, { readonly: true });
    const rows = db.prepare(COUNT).raw().all() as [number, number][];
    db.close();
    this.compare(model, new Map(rows), [...model.entries.keys()], 'the file');
    const stored = new Set(rows.map(([number]) => number));
    for (const [number, known] of model.entries) {
      if (known.state === 'unknown') known.state = stored.has(number) ? 'stored' : 'absent';
    }
    this.check();
  }

  /** What is seen of entries of which something is known for certain, and that nothing is seen by half. */
  compare(
    model: Model,
    seen: ReadonlyMap<number, number>,
    numbers: readonly number[],
    where: string,
  ): void {
    for (const [number, there] of seen) {
      const parts = model.entries.get(number)?.parts;
      if (there !== parts) this.fail(`${where} has ${there} parts of ${number}, not ${parts}`);
    }
    for (const number of numbers) {
      const { state } = model.entries.get(number) as Known;
      if (state === 'stored' && !seen.has(number)) this.fail(`${where} lacks ${number}`);
      if (state === 'absent' && seen.has(number)) this.fail(`${where} has ${number}, refused`);
    }
  }

  async end(): Promise<void> {
    await this.pool.close({ force: true });
    await Promise.all(this.#underWay);
  }
}

async function outcomeOf(answer: Promise<unknown>): Promise<string> {
  try {
    await answer;
    return 'stored';
  } catch (error) {
    const { code, message } = error as { code?: string; message?: string };
    return code ?? String(message);
  }
}
