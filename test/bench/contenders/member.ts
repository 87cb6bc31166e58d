import { type ChildProcess, fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { isQuick } from '../harness.ts';
import type { Command, Reply } from './process.ts';

const program = fileURLToPath(new URL('./process.ts', import.meta.url));

/** How long one command may take, in ms: what answers later hangs, and is ended. */
const PATIENCE = 15_000;
const QUICK_PATIENCE = 5_000;

/** The process of one contender, which does one thing after the other as it is told. */
export class Member {
  #child: ChildProcess | undefined;

  async tell<T>(command: Command): Promise<T> {
    const child = this.#child ?? this.#start();
    const patience = isQuick() ? QUICK_PATIENCE : PATIENCE;
    const reply = await new Promise<Reply>((resolve) => {
      const answered = (reply: Reply) => {
        clearTimeout(timer);
        child.off('message', answered);
        child.off('exit', ended);
        resolve(reply);
      };
      const ended = (code: number | null, signal: string | null) =>
        answered({ error: `the process ended with ${signal ?? code}` });
      const timer = setTimeout(() => {
        answered({ error: `no answer in ${patience / 1000} s (${command.do})` });
        this.end();
      }, patience);
      child.on('message', answered);
      child.once('exit', ended);
      child.send(command, (error) => {
        if (error !== null) answered({ error: error.message });
      });
    });
    if ('error' in reply) throw new Error(reply.error);
    return reply.value as T;
  }

  #start(): ChildProcess {
    const child = fork(program, [], {
      execArgv: ['--experimental-strip-types', '--no-warnings'],
      // What a library prints is not a result; an error it prints belongs to whoever looks on.
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
      serialization: 'advanced',
    });
    child.once('exit', () => {
      if (this.#child === child) this.#child = undefined;
    });
    this.#child = child;
    return child;
  }

  /** Ends the process, whatever it does; the next command starts another. */
  end(): void {
    this.#child?.kill('SIGKILL');
    this.#child = undefined;
  }
}
