import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { StoreOptions } from '@poolite/store';
import { scratch } from '../support/scratch.ts';
import type { Harm } from './harm.ts';
import type { Request } from './load.ts';
import type { Network } from './network.ts';
import { type Line, linesOf } from './told.ts';
import type { Broken } from './variants.ts';

/** What a member is told to be and to do. */
export interface MemberOptions {
  /** Where the bucket is, and all that belongs to it. */
  folder: string;
  /** Its replica. */
  file: string;
  /** Its file of lines. */
  told: string;
  /** Whose load it is. */
  name: string;
  seed: number;
  callers: number;
  retries: number;
  kinds?: readonly string[];
  /** How many calls each caller makes; else they go on until the end. */
  calls?: number;
  again?: readonly Request[];
  settings: StoreOptions;
  network?: Network;
  harm?: Harm;
  broken?: Broken;
}

const program = fileURLToPath(new URL('./member.ts', import.meta.url));

/** Where Node.js keeps what it has made of the sources: nearly all of a member's start is spent on them. */
const { folder: cache } = scratch('poolite-cache-');

/** One member, through all of its lives. */
export class Member {
  readonly name: string;
  readonly #folder: string;
  readonly #options: Omit<MemberOptions, 'file' | 'told' | 'name' | 'seed'>;
  #lives = 0;
  #files = 0;
  #told: string[] = [];
  #process: ChildProcess | undefined;
  #complaint = '';
  #ended: Promise<unknown[]> = Promise.resolve([]);
  #isReady: Promise<void> = Promise.resolve();

  constructor(name: string, options: Omit<MemberOptions, 'file' | 'told' | 'name' | 'seed'>) {
    this.name = name;
    this.#folder = options.folder;
    this.#options = options;
  }

  get file(): string {
    return join(this.#folder, `${this.name}-${this.#files}.db`);
  }

  /** Resolves when its pool is open; rejects where it ends before. */
  get isReady(): Promise<void> {
    return this.#isReady;
  }

  get isAlive(): boolean {
    const { exitCode, signalCode } = this.#process ?? { exitCode: 0, signalCode: null };
    return exitCode === null && signalCode === null;
  }

  /** Resolves when its process is no more. */
  get gone(): Promise<unknown> {
    return this.#ended;
  }

  lines(): Line[] {
    return this.#told.flatMap(linesOf);
  }

  /** From now on it has another file, so that it begins with nothing. */
  forget(): void {
    this.#files++;
  }

  start(seed: number, harm?: Harm): void {
    const again = unanswered(this.lines());
    const name = `${this.name}.${++this.#lives}`;
    const told = join(this.#folder, `${name}.told`);
    this.#told.push(told);
    const options = { ...this.#options, name, told, seed, file: this.file, again, harm };
    const child = fork(program, [JSON.stringify(options)], {
      execArgv: ['--experimental-strip-types', '--no-warnings'],
      env: { ...process.env, NODE_COMPILE_CACHE: cache },
      stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
    });
    this.#process = child;
    this.#complaint = '';
    child.stderr?.on('data', (data) => {
      this.#complaint += data;
    });
    this.#ended = once(child, 'close');
    this.#isReady = new Promise((resolve, reject) => {
      child.once('message', () => resolve());
      child.once('close', (code) => reject(this.#wrong(code)));
    });
    this.#isReady.catch(() => {});
  }

  /** Resolves when it has died of what it was sent out for. */
  async dead(): Promise<void> {
    const [code, signal] = await this.#ended;
    if (signal !== 'SIGKILL') throw this.#wrong(code);
  }

  #wrong(code: unknown): Error {
    const error = /^\w*Error.*$/m.exec(this.#complaint)?.[0] ?? this.#complaint;
    return new Error(`${this.name} ended with ${code}: ${error}`);
  }

  signal(signal: 'SIGSTOP' | 'SIGCONT' | 'SIGKILL'): void {
    this.#process?.kill(signal);
  }

  /** Has it end its load. */
  async idle(): Promise<void> {
    await this.#isReady;
    const process = this.#process as ChildProcess;
    const idle = once(process, 'message');
    process.send(this.#options.calls === undefined ? 'end' : 'finish');
    await Promise.race([idle, this.#ended]);
  }

  /** Has it see the end of the log, and close. */
  async close(): Promise<void> {
    if (this.isAlive) this.#process?.send('close');
    const [code] = await this.#ended;
    if (code !== 0) throw this.#wrong(code);
  }
}

/** Requests with a key that nobody knows of: whoever has one asks again. */
function unanswered(lines: readonly Line[]): Request[] {
  const open = new Map<string, Request>();
  for (const line of lines) {
    if (line.say === 'ask' && line.plan !== undefined) {
      open.set(line.id, { id: line.id, plan: line.plan });
    } else if (line.say === 'answer' && line.outcome !== 'unknown') open.delete(line.id);
  }
  return [...open.values()];
}
