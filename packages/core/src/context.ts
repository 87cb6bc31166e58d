import { AsyncLocalStorage } from 'node:async_hooks';

/** Says that an asynchronous context runs inside a transaction or lease, and of which pool. */
export class Holding {
  readonly owner: object;
  readonly what: string;
  readonly outer: Holding | undefined;
  /** False once the transaction or lease ended: contexts outlive it. */
  live = true;
  /** Whether it waits for the writer still: it holds nothing yet, and will. */
  waits = false;

  constructor(owner: object, what: string, outer: Holding | undefined) {
    this.owner = owner;
    this.what = what;
    this.outer = outer;
  }
}

const storage = new AsyncLocalStorage<Holding>();

/** What of `owner` the current asynchronous context holds, if anything. */
export function holdingOf(owner: object): Holding | undefined {
  let holding = storage.getStore();
  while (holding !== undefined) {
    if (holding.live && holding.owner === owner) return holding;
    holding = holding.outer;
  }
  return undefined;
}

export function newHolding(owner: object, what: string): Holding {
  let outer = storage.getStore();
  // A context that was entered may live for ever: what ended in it must not pile up.
  while (outer !== undefined && !outer.live && !outer.waits) outer = outer.outer;
  return new Holding(owner, what, outer);
}

/**
 * Binds work that runs later, from wherever the writer becomes free, to the asynchronous context
 * of this moment, the user's own stores included.
 */
export function contextHere(): <T>(work: () => T) => T {
  return AsyncLocalStorage.snapshot();
}

export function runHolding<T>(holding: Holding, work: () => T): T {
  return storage.run(holding, work);
}

/** For callers who cannot wrap their work: it holds from here on, in this context. */
export function enterHolding(holding: Holding): void {
  // An adapter may enter with each statement; to look costs a fraction of what entering does.
  if (storage.getStore() !== holding) storage.enterWith(holding);
}

/** Waits for what the holding stands for: until then it keeps nobody from anything. */
export async function granted<T>(holding: Holding, turn: Promise<T>): Promise<T> {
  holding.live = false;
  holding.waits = true;
  try {
    const mine = await turn;
    holding.live = true;
    return mine;
  } finally {
    holding.waits = false;
  }
}
