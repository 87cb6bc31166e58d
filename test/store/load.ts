import { type BatchStatement, type Pool, PoolError, type Transaction } from '@poolite/core';
import {
  ACCOUNTS,
  COUNTERS,
  LISTS,
  LOOK,
  type Look,
  type Plan,
  READ,
  type Step,
  type Table,
} from './plans.ts';
import { now, type Outcome, type Telling } from './told.ts';

export interface LoadOptions {
  /** Whose it is, and in which of its lives: no other load has the same. */
  name: string;
  callers: number;
  random: () => number;
  /** Requests of an earlier life that were not answered: asked for again first. */
  again?: readonly Request[] | undefined;
  /** Some of the kinds of calls; default: all. */
  kinds?: readonly string[] | undefined;
  /** Calls of each caller; default: until it is to end. */
  calls?: number | undefined;
}

/** A request with a key may be asked for again. */
export interface Request {
  id: string;
  plan: Plan;
}

const ADD = 'INSERT INTO request (id, plan) VALUES (?, ?)';
const ADD_COUNT = 'INSERT INTO request (id, plan, counts) VALUES (?, ?, ?)';
const SEEN = 'INSERT INTO seen (request, place, value) VALUES (?, ?, ?)';
const MOVE = 'UPDATE account SET cents = cents + ? WHERE id = ?';
const COUNT = 'UPDATE counter SET n = n + 1 WHERE id = ?';
const APPEND = "UPDATE list SET items = items || ',' || ? WHERE key = ?";

/** How often a request with a key is asked for, where nobody knows what became of it. */
const ASKED = 5;

class Planned extends Error {}

/** What these mean for the caller: nothing of it is stored, or that is not known. */
export function outcomeOf(error: unknown): Outcome {
  return PoolError.is(error) && error.code === 'POOL_OUTCOME_UNKNOWN' ? 'unknown' : 'failed';
}

/** Random writes, and reads beside them, of which everything is told. */
export class Load {
  readonly #pool: Pool;
  readonly #options: LoadOptions;
  readonly #telling: Telling;
  #requests = 0;
  #isOver = false;

  constructor(pool: Pool, telling: Telling, options: LoadOptions) {
    this.#pool = pool;
    this.#telling = telling;
    this.#options = options;
  }

  /** Until it is to end, and all that is under way has been answered. */
  async run(): Promise<void> {
    const again = [...(this.#options.again ?? [])];
    const kinds = Object.entries(this.#kinds()).filter(
      ([kind]) => this.#options.kinds?.includes(kind) ?? true,
    );
    const caller = async () => {
      for (let one = again.shift(); one !== undefined; one = again.shift()) await this.#keyed(one);
      for (let calls = this.#options.calls ?? Number.POSITIVE_INFINITY; calls > 0; calls--) {
        if (this.#isOver) return;
        const [, call] = kinds[this.#below(kinds.length)] as (typeof kinds)[number];
        await call();
      }
    };
    await Promise.all(Array.from({ length: this.#options.callers }, caller));
  }

  end(): void {
    this.#isOver = true;
  }

  #below(limit: number): number {
    return Math.floor(this.#options.random() * limit);
  }

  #id(): string {
    return `${this.#options.name}.${++this.#requests}`;
  }

  #plan(): Plan {
    const tables: Record<Table, number> = { account: ACCOUNTS, counter: COUNTERS, list: LISTS };
    return Array.from({ length: 1 + this.#below(4) }, (): Step => {
      const table = (Object.keys(tables) as Table[])[this.#below(3)] as Table;
      const key = this.#below(tables[table]);
      if (this.#below(2) === 0) return { do: 'see', table, key };
      if (table === 'counter') return { do: 'count', counter: key };
      if (table === 'list') return { do: 'append', list: key };
      const to = (key + 1 + this.#below(ACCOUNTS - 1)) % ACCOUNTS;
      return { do: 'move', from: key, to, cents: 1 + this.#below(50) };
    });
  }

  #kinds(): Record<string, () => Promise<unknown>> {
    const pool = this.#pool;
    return {
      run: () => {
        const counter = this.#below(COUNTERS);
        const plan: Plan = [
          { do: 'see', table: 'counter', key: counter },
          { do: 'count', counter },
        ];
        const id = this.#id();
        return this.#ask(id, () => pool.run(ADD_COUNT, [id, JSON.stringify(plan), counter]));
      },
      batch: () => {
        const request = { id: this.#id(), plan: this.#plan() };
        return this.#ask(request.id, () => pool.batch(statementsOf(request)));
      },
      transaction: () => {
        const request = { id: this.#id(), plan: this.#plan() };
        return this.#ask(request.id, () => pool.transaction((tx) => carryOut(tx, request)));
      },
      // Named anew by each run of its callback: whatever is stored twice can be told from the other.
      'transaction, named anew': () => {
        const id = this.#id();
        const plan = this.#plan();
        let runs = 0;
        return this.#ask(id, () =>
          pool.transaction((tx) => carryOut(tx, { id: `${id}/${++runs}`, plan })),
        );
      },
      'transaction with a savepoint': () => {
        const request = { id: this.#id(), plan: this.#plan() };
        return this.#ask(request.id, () =>
          pool.transaction(async (tx) => {
            await this.#undone(tx);
            await carryOut(tx, request);
          }),
        );
      },
      'transaction that throws': () => {
        const request = { id: this.#id(), plan: this.#plan() };
        return this.#ask(request.id, () =>
          pool.transaction(async (tx) => {
            await carryOut(tx, request);
            throw new Planned();
          }),
        );
      },
      keyed: () => this.#keyed({ id: this.#id(), plan: this.#plan() }),
      look: () => this.#look(false),
      'fresh look': () => this.#look(true),
    };
  }

  async #undone(tx: Transaction): Promise<void> {
    const work = tx.savepoint(async (inner) => {
      await carryOut(inner, { id: this.#id(), plan: this.#plan() });
      throw new Planned();
    });
    await work.catch((error: unknown) => {
      if (!(error instanceof Planned)) throw error;
    });
  }

  /** Asks, and tells what is answered. */
  async #ask(id: string, work: () => Promise<unknown>, plan?: Plan): Promise<Outcome> {
    const telling = this.#telling;
    telling.say({ say: 'ask', id, at: now(), ...(plan === undefined ? {} : { plan }) });
    try {
      const result = await work();
      const told = typeof result === 'string' ? { result } : {};
      telling.say({ say: 'answer', id, at: now(), outcome: 'ok', ...told });
      return 'ok';
    } catch (error) {
      const outcome = outcomeOf(error);
      const code = error instanceof Planned ? 'planned' : String((error as PoolError).code);
      telling.say({ say: 'answer', id, at: now(), outcome, code });
      if (!isExpected(error)) {
        telling.say({ say: 'wrong', text: `${id}: ${textOf(error)}` });
      }
      return outcome;
    }
  }

  /** With a key it may be asked for again: what it does is done once, and its result is always the same. */
  async #keyed({ id, plan }: Request): Promise<void> {
    let runs = 0;
    let extra = this.#below(4) === 0 ? 1 : 0;
    const from = now();
    for (let asked = 0; asked < ASKED; asked++) {
      const work = async (tx: Transaction) => {
        const name = `${id}/${from}-${++runs}`;
        await carryOut(tx, { id: name, plan });
        return name;
      };
      const options = { idempotencyKey: id };
      const outcome = await this.#ask(id, () => this.#pool.transaction(work, options), plan);
      if (outcome === 'failed' || (outcome === 'ok' && extra-- <= 0)) return;
    }
  }

  async #look(fresh: boolean): Promise<void> {
    const from = now();
    const options = fresh ? { linearizable: true } : {};
    try {
      const look = (await this.#pool.get<Look>(LOOK, [], options)) as Look;
      const { number, accounts, counters, lists } = look;
      const seen = { number, accounts, counters, lists };
      this.#telling.say({ say: 'look', from, at: now(), fresh, look: seen });
    } catch (error) {
      if (!isExpected(error)) {
        this.#telling.say({ say: 'wrong', text: `look: ${textOf(error)}` });
      }
    }
  }
}

/** What a caller may hear while buckets fail and processes stand still. */
function isExpected(error: unknown): boolean {
  if (error instanceof Planned) return true;
  const codes = ['POOL_OUTCOME_UNKNOWN', 'POOL_CONFLICT', 'POOL_STORE', 'POOL_TIMEOUT'];
  return PoolError.is(error) && codes.includes(error.code);
}

function textOf(error: unknown): string {
  const { code, message, stack } = error as PoolError;
  return code === undefined ? String(stack) : `${code}: ${message}`;
}

/** A plan as one batch: SQLite itself does what JavaScript does in a transaction. */
function statementsOf({ id, plan }: Request): BatchStatement[] {
  const statements: BatchStatement[] = [{ sql: ADD, params: [id, JSON.stringify(plan)] }];
  const add = (sql: string, ...params: (string | number)[]) => statements.push({ sql, params });
  for (const [place, step] of plan.entries()) {
    if (step.do === 'see') {
      add(`INSERT INTO seen SELECT ?, ?, value FROM (${READ[step.table]})`, id, place, step.key);
    } else if (step.do === 'move') {
      add(MOVE, -step.cents, step.from);
      add(MOVE, step.cents, step.to);
    } else if (step.do === 'count') add(COUNT, step.counter);
    else add(APPEND, id, step.list);
  }
  return statements;
}

/** A plan step by step: what is written is made of what was read, so that a lost update would show. */
async function carryOut(tx: Transaction, { id, plan }: Request): Promise<void> {
  const read = async <Value>(table: Table, key: number) =>
    (await tx.get<{ value: Value }>(READ[table], [key]))?.value as Value;
  await tx.run(ADD, [id, JSON.stringify(plan)]);
  for (const [place, step] of plan.entries()) {
    if (step.do === 'see') {
      await tx.run(SEEN, [id, place, String(await read(step.table, step.key))]);
    } else if (step.do === 'move') {
      const from = await read<number>('account', step.from);
      const to = await read<number>('account', step.to);
      const set = 'UPDATE account SET cents = ? WHERE id = ?';
      await tx.run(set, [from - step.cents, step.from]);
      await tx.run(set, [to + step.cents, step.to]);
    } else if (step.do === 'count') {
      const n = await read<number>('counter', step.counter);
      await tx.run('UPDATE counter SET n = ? WHERE id = ?', [n + 1, step.counter]);
    } else {
      const items = await read<string>('list', step.list);
      await tx.run('UPDATE list SET items = ? WHERE key = ?', [`${items},${id}`, step.list]);
    }
  }
}
