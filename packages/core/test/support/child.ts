import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { onTestFinished } from 'vitest';
import { engineFlags } from './engine.ts';

/** Where a child's source finds `@poolite/core` and `better-sqlite3` by name. */
const home = fileURLToPath(new URL('../..', import.meta.url));

export interface Ended {
  code: number | null;
  signal: NodeJS.Signals | null;
  stdout: string;
  stderr: string;
}

export interface ScriptOptions {
  type?: 'module' | 'commonjs';
  args?: readonly string[];
  env?: Readonly<Record<string, string>>;
  flags?: readonly string[];
  /** The program of Node.js. Default: the one that runs the tests. */
  node?: string;
  /** Its current folder. Default: the package's. */
  folder?: string;
  /** A child that lasts longer is killed: its signal is SIGKILL then. Default: 60000 ms. */
  limit?: number;
}

/** Runs a script, given as text or as a file, in a process of its own to its end. */
export async function runScript(
  script: string | { file: string },
  options: ScriptOptions = {},
): Promise<Ended> {
  const {
    type = 'module',
    args = [],
    env = {},
    flags = [],
    node = process.execPath,
    folder = home,
    limit = 60_000,
  } = options;
  const program =
    typeof script === 'string' ? [`--input-type=${type}`, '-e', script, '--'] : [script.file];
  const child = spawn(node, [...engineFlags, ...flags, ...program, ...args], {
    cwd: folder,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: environment(env),
  });
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  const killer = setTimeout(() => child.kill('SIGKILL'), limit);
  const [code, signal] = (await once(child, 'close')) as [number | null, NodeJS.Signals | null];
  clearTimeout(killer);
  return { code, signal, stdout, stderr };
}

/** What the test runner sets for its own processes is not for a child. */
function environment(more: Readonly<Record<string, string>>): NodeJS.ProcessEnv {
  const { NODE_OPTIONS, ...env } = process.env;
  return { ...env, ...more };
}

/** A child that is talked to over IPC, and killed when the test is over. */
export class Child {
  readonly process: ChildProcess;
  readonly #messages: unknown[] = [];
  readonly #waiting: { resolve(message: unknown): void; reject(error: Error): void }[] = [];

  constructor(source: string, args: readonly string[] = []) {
    this.process = spawn(
      process.execPath,
      [...engineFlags, '--input-type=module', '-e', source, '--', ...args],
      {
        cwd: home,
        stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
        env: environment({}),
      },
    );
    this.process.on('message', (message) => {
      const first = this.#waiting.shift();
      if (first === undefined) this.#messages.push(message);
      else first.resolve(message);
    });
    this.process.on('exit', (code, signal) => {
      const error = new Error(`the child ended with ${code ?? signal} before it answered`);
      for (const { reject } of this.#waiting.splice(0)) reject(error);
    });
    onTestFinished(() => {
      this.process.kill('SIGKILL');
    });
  }

  /** The next message. */
  message(): Promise<unknown> {
    if (this.#messages.length > 0) return Promise.resolve(this.#messages.shift());
    return new Promise((resolve, reject) => this.#waiting.push({ resolve, reject }));
  }

  /** Sends a message and waits for the answer. */
  async ask(message: unknown): Promise<unknown> {
    this.process.send(message as string);
    return this.message();
  }

  /** A message that came and that nobody has taken; undefined where there is none. */
  async left(): Promise<unknown> {
    return this.#messages.shift();
  }

  async end(): Promise<void> {
    if (this.process.exitCode !== null || this.process.signalCode !== null) return;
    this.process.kill('SIGKILL');
    await once(this.process, 'exit');
  }
}

/** Another process's plain better-sqlite3 connection. */
export class OtherConnection extends Child {
  constructor(file: string) {
    super(
      `import Database from 'better-sqlite3';
      const db = new Database(process.argv[1], { timeout: 60_000 });
      process.on('message', (sql) => {
        try {
          db.exec(sql);
          process.send('ok');
        } catch (error) {
          process.send(error.code ?? String(error));
        }
      });`,
      [file],
    );
  }

  async exec(sql: string): Promise<void> {
    const answer = await this.ask(sql);
    if (answer !== 'ok') throw new Error(`the other process failed with ${answer}: ${sql}`);
  }
}
