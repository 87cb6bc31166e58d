/** What a load did: the calls that went well, and how often each error came. */
export interface Load {
  calls: number;
  perSecond: number;
  /** The longest that one call took, in ms. */
  worst: number;
  errors: Record<string, number>;
}

/** A load that only fails is given up after so many errors. */
const ERRORS = 200;

const nextTurn = () => new Promise((resolve) => setImmediate(resolve));

export function messageOf(error: unknown): string {
  const { code, message, cause } = error as { code?: unknown; message?: string; cause?: Error };
  const text = String(message ?? error).split('\n')[0] as string;
  const named = typeof code === 'string' && !text.includes(code) ? `${code}: ${text}` : text;
  return cause instanceof Error && !named.includes(cause.message)
    ? `${named} (${cause.message.split('\n')[0]})`
    : named;
}

/**
 * Calls `work` from so many callers at once until `ms` are over or `until` settles; each has one
 * call under way. What answers at once is not awaited, as its user would not. A call that fails counts as failed, and the caller goes on.
 */
export async function load(
  { callers, ms, yields = false }: { callers: number; ms: number; yields?: boolean },
  work: (caller: number) => unknown,
  until?: Promise<unknown>,
): Promise<Load> {
  const errors: Record<string, number> = {};
  let calls = 0;
  let failed = 0;
  let worst = 0;
  let going = true;
  const end = () => {
    going = false;
  };
  until?.then(end, end);
  const started = performance.now();
  const last = started + ms;
  const call = async (caller: number) => {
    for (let now = started; going && now < last && failed < ERRORS; ) {
      try {
        const answer = work(caller);
        if (answer instanceof Promise) await answer;
        calls++;
      } catch (error) {
        failed++;
        const message = messageOf(error);
        errors[message] = (errors[message] ?? 0) + 1;
        await nextTurn();
      }
      if (yields) await nextTurn();
      const after = performance.now();
      if (after - now > worst) worst = after - now;
      now = after;
    }
  };
  await Promise.all(Array.from({ length: callers }, (_, caller) => call(caller)));
  return { calls, perSecond: (calls * 1000) / (performance.now() - started), worst, errors };
}
