/** What the command's exit code tells; the README has the same table. */
export const ExitCode = {
  /** Done, and nothing is wrong. */
  done: 0,
  /** It failed; the message tells why. */
  failed: 1,
  /** Wrong usage: an unknown command or option, an argument that is missing or makes no sense. */
  usage: 2,
  /** The file is damaged, or is no database, or `doctor` found something that needs a cure. */
  found: 3,
  /** Somebody else has the file open or locked. */
  busy: 4,
  /** Ended by Ctrl-C (SIGINT): 128 and the number of the signal, as shells have it. */
  interrupted: 130,
  /** Ended by SIGTERM. */
  terminated: 143,
} as const;

export type ExitCode = (typeof ExitCode)[keyof typeof ExitCode];

/** An error that is the user's to mend: shown as its message, without a stack. */
export class CliError extends Error {
  readonly code: string;
  readonly exitCode: ExitCode;

  constructor(code: string, message: string, exitCode: ExitCode = ExitCode.failed) {
    super(message);
    this.name = 'CliError';
    this.code = code;
    this.exitCode = exitCode;
  }
}

/** The code of any error, and the exit code that goes with it. */
export function judge(error: unknown): { code: string; exitCode: ExitCode } {
  if (error instanceof CliError) return error;
  const { code: given } = (error ?? {}) as { code?: unknown };
  const code = typeof given === 'string' ? given : 'ERROR';
  if (/^SQLITE_(CORRUPT|NOTADB)/.test(code)) return { code, exitCode: ExitCode.found };
  if (/^SQLITE_(BUSY|LOCKED)/.test(code)) return { code, exitCode: ExitCode.busy };
  if (['POOL_TIMEOUT', 'POOL_IN_USE'].includes(code)) return { code, exitCode: ExitCode.busy };
  return { code, exitCode: ExitCode.failed };
}
