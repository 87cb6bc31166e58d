import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { onTestFinished } from 'vitest';

/** Whether there is a terminal to try things in; says so where there is none. */
export function hasTerminal(what: string): boolean {
  try {
    execFileSync('tmux', ['-V'], { stdio: 'ignore' });
    return true;
  } catch {
    console.log(`skipped: ${what} in a terminal, for tmux is not installed`);
    return false;
  }
}

/** A real terminal of 90 x 20, by tmux, with a shell in it. */
export class Terminal {
  readonly #server = `poolite-${randomBytes(4).toString('hex')}`;

  constructor() {
    this.#tmux('new-session', '-d', '-s', 'test', '-x', '90', '-y', '20', 'sh');
    onTestFinished(() => {
      this.#tmux('kill-server');
    });
  }

  /** Presses keys, by tmux's names: `Enter`, `C-c`. */
  press(...keys: string[]): void {
    this.#tmux('send-keys', '-t', 'test', ...keys);
  }

  /** Runs a command, and prints `ended with` and its exit code. */
  run(...words: string[]): void {
    const quoted = words.map((word) => `'${word.replaceAll("'", "'\\''")}'`).join(' ');
    this.press(`clear; ${quoted}; echo "ended with $?"`, 'Enter');
  }

  /** What is on the screen. */
  get screen(): string {
    return this.#tmux('capture-pane', '-t', 'test', '-p');
  }

  #tmux(...args: string[]): string {
    return execFileSync('tmux', ['-L', this.#server, '-f', '/dev/null', ...args], {
      encoding: 'utf8',
    });
  }
}
