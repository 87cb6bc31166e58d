import { createHistogram } from 'node:perf_hooks';

/** A request comes every so many ms, whether those before it were answered or not. */
export const EVERY_MS = 2;

/** How long requests took, in ms. */
export interface Answered {
  count: number;
  p50: number;
  p99: number;
}

/**
 * Requests that come by the clock, as a server's do. Each is timed from when it was due, so that
 * the time in which the event loop stood still, and nobody looked, counts.
 */
export async function answerRequests(
  from: number,
  end: number,
  answer: () => Promise<unknown>,
): Promise<Answered> {
  const latency = createHistogram();
  const underWay: Promise<void>[] = [];
  const one = async (due: number) => {
    await answer();
    latency.record(Math.max(1, Math.round((performance.now() - due) * 1e6)));
  };
  let due = from;
  await new Promise<void>((resolve) => {
    const timer = setInterval(() => {
      const now = Math.min(performance.now(), end);
      for (; due <= now; due += EVERY_MS) underWay.push(one(due));
      if (now < end) return;
      clearInterval(timer);
      resolve();
    }, 1);
  });
  await Promise.all(underWay);
  const [p50, p99] = [latency.percentile(50) / 1e6, latency.percentile(99) / 1e6];
  return { count: underWay.length, p50, p99 };
}
