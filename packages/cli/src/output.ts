import { PoolError } from '@poolite/core';
import { judge } from './exit.js';
import { paint } from './format.js';

/** Prints a result: as one JSON document, or as text. */
export function print(json: boolean | undefined, result: unknown, text: () => string): void {
  process.stdout.write(`${json === true ? JSON.stringify(result, undefined, 2) : text()}\n`);
}

/**
 * Tells why a command failed: with `--json` as the document that its result would have been, or as
 * a line on standard error. Sets the exit code.
 */
export function fail(json: boolean, error: unknown): void {
  const { code, exitCode } = judge(error);
  const message = error instanceof Error ? error.message : String(error);
  process.exitCode = exitCode;
  if (json) {
    process.stdout.write(
      `${JSON.stringify({ error: { code, message, exitCode } }, undefined, 2)}\n`,
    );
    return;
  }
  process.stderr.write(`${paint('red', 'poolite:')} ${message}\n`);
  // What nobody foresaw is a bug of this program: then its lines help.
  const foreseen = code !== 'ERROR' || PoolError.is(error);
  if (!foreseen && error instanceof Error && error.stack !== undefined) {
    process.stderr.write(`${error.stack.slice(error.stack.indexOf('\n') + 1)}\n`);
  }
}
