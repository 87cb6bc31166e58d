/** One way to do some work: returns what it reached, in the unit of its work. */
export interface Contender {
  name: string;
  round(ms: number): Promise<number>;
}

/** Something that is measured, each way in turn. */
export interface Work {
  name: string;
  unit: string;
  /** Whether more is better. */
  moreIsBetter: boolean;
  /** The first is what the others are compared with. */
  contenders: readonly Contender[];
}

/** What was measured of a contender. */
export interface Measured {
  name: string;
  median: number;
  low: number;
  high: number;
  /** How many times as good as the first contender it was: above 1 is better. */
  ratio: number;
}

export interface Result {
  work: string;
  unit: string;
  contenders: Measured[];
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[sorted.length >> 1] as number;
}

/**
 * Measures a work: the contenders take turns, round by round, so that whatever else the machine does
 * falls on all of them alike. A short round of each goes before, to warm up.
 */
export async function measure(
  { name, unit, moreIsBetter, contenders }: Work,
  { rounds, ms }: { rounds: number; ms: number },
  signal: AbortSignal,
): Promise<Result> {
  const results = contenders.map((): number[] => []);
  for (let round = -1; round < rounds; round++) {
    for (const [i, contender] of contenders.entries()) {
      signal.throwIfAborted();
      const value = await contender.round(round < 0 ? ms / 4 : ms);
      if (round >= 0) results[i]?.push(value);
    }
  }
  const base = median(results[0] ?? []);
  return {
    work: name,
    unit,
    contenders: contenders.map(({ name }, i) => {
      const values = results[i] ?? [];
      const middle = median(values);
      const ratio = moreIsBetter ? middle / base : base / middle;
      return { name, median: middle, low: Math.min(...values), high: Math.max(...values), ratio };
    }),
  };
}

/** Calls `work` until so many ms are over, by so many callers at once; calls per second. */
export async function perSecond(
  callers: number,
  ms: number,
  work: () => Promise<unknown>,
): Promise<number> {
  const started = performance.now();
  const until = started + ms;
  let calls = 0;
  const call = async () => {
    while (performance.now() < until) {
      await work();
      calls++;
    }
  };
  await Promise.all(Array.from({ length: callers }, call));
  return (calls * 1000) / (performance.now() - started);
}

/** The same for calls that return their result at once: callers take turns, and let others run. */
export async function perSecondSync(ms: number, work: () => unknown): Promise<number> {
  const started = performance.now();
  const until = started + ms;
  let calls = 0;
  while (performance.now() < until) {
    for (let i = 0; i < 64; i++) work();
    calls += 64;
    await new Promise((resolve) => setImmediate(resolve));
  }
  return (calls * 1000) / (performance.now() - started);
}

/** How long, at most, the event loop stood still while `work` ran, in ms. */
export async function stall(work: () => Promise<unknown>): Promise<number> {
  let longest = 0;
  let last = performance.now();
  const tick = () => {
    const now = performance.now();
    longest = Math.max(longest, now - last);
    last = now;
  };
  const timer = setInterval(tick, 1);
  try {
    await work();
    // What stood still until just now shows at the next turn.
    await new Promise((resolve) => setTimeout(resolve, 2));
    tick();
  } finally {
    clearInterval(timer);
  }
  return longest;
}
