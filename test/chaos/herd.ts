import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

const program = fileURLToPath(new URL('./member.ts', import.meta.url));

/** A process of the herd, and what it has said. */
export class Member {
  readonly name: string;
  readonly process: ChildProcess;
  readonly ready: Promise<void>;
  /** The numbers that were acknowledged, in their order, by `kind caller`. */
  readonly acknowledged = new Map<string, number[]>();
  /** How often statements failed, by what and how. */
  readonly failures = new Map<string, number>();
  /** What must not happen. */
  readonly wrong: string[] = [];
  role = 'seeking';
  /** Called for each acknowledgement, with the time. */
  onAcknowledged: (() => void) | undefined;
  onRole: ((role: string) => void) | undefined;
  #rest = '';
  #stderr = '';

  constructor(file: string, name: string, options: object) {
    this.name = name;
    const flags = ['--experimental-strip-types', '--no-warnings'];
    const args = [...flags, program, file, name, JSON.stringify(options)];
    this.process = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'] });
    let isReady: () => void = () => {};
    this.ready = new Promise((resolve, reject) => {
      isReady = resolve;
      this.process.on('exit', (code, signal) => {
        reject(new Error(`member ${name} ended with ${code ?? signal}: ${this.#stderr}`));
      });
    });
    this.ready.catch(() => {});
    this.process.stderr?.on('data', (data) => {
      this.#stderr += data;
    });
    this.process.stdout?.setEncoding('utf8').on('data', (data: string) => {
      const lines = (this.#rest + data).split('\n');
      this.#rest = lines.pop() as string;
      for (const line of lines) this.#heard(line, isReady);
    });
  }

  #heard(line: string, ready: () => void): void {
    const [what = '', a = '', b = ''] = line.split(' ');
    switch (what) {
      case 'ready':
        return ready();
      case 'role':
        this.role = a;
        return this.onRole?.(a);
      case 'entry':
      case 'transfer': {
        const key = `${what} ${a}`;
        const numbers = this.acknowledged.get(key) ?? [];
        numbers.push(Number(b));
        this.acknowledged.set(key, numbers);
        return this.onAcknowledged?.();
      }
      case 'failed': {
        const key = `${a} ${b}`;
        this.failures.set(key, (this.failures.get(key) ?? 0) + 1);
        return;
      }
      case 'wrong':
        this.wrong.push(line);
    }
  }

  get hasEnded(): boolean {
    return this.process.exitCode !== null || this.process.signalCode !== null;
  }

  /** Ends it by a signal; resolves when all it has said was heard. */
  async end(signal: NodeJS.Signals): Promise<number | null> {
    const closed = once(this.process, 'close');
    this.process.kill(signal);
    // A process that was stopped hears of nothing but SIGKILL.
    if (signal !== 'SIGKILL') this.process.kill('SIGCONT');
    const [code] = (await closed) as [number | null];
    if (code !== null && code !== 0) this.wrong.push(`ended with ${code}: ${this.#stderr}`);
    return code;
  }
}
