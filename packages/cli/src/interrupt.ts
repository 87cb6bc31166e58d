import { CliError, ExitCode } from './exit.js';

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/** The codes of errors of work that ended since it was told to. */
const ENDED: readonly string[] = ['INTERRUPTED', 'POOL_ABORTED'];

/** The error of work that a signal has ended. */
export function interrupted(signal: NodeJS.Signals): CliError {
  const exitCode = signal === 'SIGINT' ? ExitCode.interrupted : ExitCode.terminated;
  return new CliError('INTERRUPTED', `ended by ${signal}; nothing was left half done`, exitCode);
}

/**
 * Runs work that must clean up after itself: the first Ctrl-C (or SIGTERM, SIGHUP) aborts its
 * signal, and it is waited for; a second one ends the process at once.
 */
export async function interruptible<T>(work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const controller = new AbortController();
  let by: NodeJS.Signals | undefined;
  const onSignal = (signal: NodeJS.Signals) => {
    if (by !== undefined) {
      for (const each of SIGNALS) process.off(each, onSignal);
      process.kill(process.pid, signal);
      return;
    }
    by = signal;
    controller.abort(interrupted(signal));
  };
  for (const each of SIGNALS) process.on(each, onSignal);
  try {
    return await work(controller.signal);
  } catch (error) {
    // What could not be cleaned up is told as it is.
    const { code } = error as { code?: unknown };
    const given = by !== undefined && ENDED.includes(String(code));
    throw given ? interrupted(by as NodeJS.Signals) : error;
  } finally {
    for (const each of SIGNALS) process.off(each, onSignal);
  }
}
