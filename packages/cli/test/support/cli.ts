import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

/** The built program. */
export const main = fileURLToPath(new URL('../../dist/main.js', import.meta.url));

const NO_BUCKETS = {
  AWS_ENDPOINT_URL: 'http://127.0.0.1:1',
  AWS_REGION: 'us-east-1',
  AWS_ACCESS_KEY_ID: 'none',
  AWS_SECRET_ACCESS_KEY: 'none',
};

export interface Ended {
  code: number | null;
  signal: NodeJS.Signals | null;
  stdout: string;
  stderr: string;
}

export interface RunOptions {
  cwd?: string;
  limit?: number;
  env?: Readonly<Record<string, string>>;
}

/** A running `poolite`. */
export class Running {
  readonly child: ChildProcessWithoutNullStreams;
  readonly ended: Promise<Ended>;
  stdout = '';
  stderr = '';

  constructor(args: readonly string[], { cwd, limit = 60_000, env: more }: RunOptions) {
    const { NODE_OPTIONS: _, ...env } = process.env;
    this.child = spawn(process.execPath, [main, ...args], {
      ...(cwd === undefined ? {} : { cwd }),
      // Whoever asks for a bucket gets no answer, at once.
      env: { ...env, NO_COLOR: '1', ...NO_BUCKETS, ...more },
    });
    this.child.stdin.end();
    this.child.stdout.setEncoding('utf8').on('data', (text: string) => {
      this.stdout += text;
    });
    this.child.stderr.setEncoding('utf8').on('data', (text: string) => {
      this.stderr += text;
    });
    this.ended = this.#wait(limit);
  }

  async #wait(limit: number): Promise<Ended> {
    const killer = setTimeout(() => this.child.kill('SIGKILL'), limit);
    const [code, signal] = (await once(this.child, 'close')) as [number, NodeJS.Signals | null];
    clearTimeout(killer);
    return { code, signal, stdout: this.stdout, stderr: this.stderr };
  }

  /** Waits until it has printed so many lines on standard output, or has ended. */
  async lines(count: number): Promise<void> {
    const enough = () => this.stdout.split('\n').length > count;
    while (!enough() && this.child.exitCode === null) {
      await Promise.race([once(this.child.stdout, 'data'), this.ended]);
    }
  }
}

/** Runs `poolite` to its end. */
export function poolite(args: readonly string[], options: RunOptions = {}): Promise<Ended> {
  return new Running(args, options).ended;
}

/** What `--json` printed. */
export function json<T>({ stdout }: Ended): T {
  return JSON.parse(stdout) as T;
}
