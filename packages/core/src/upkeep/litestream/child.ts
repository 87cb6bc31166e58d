import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import type { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type LogEvent, readLogLine } from './log.js';
import { LogFile } from './log-file.js';

/** How a child ended. */
export interface Ended {
  code: number | null;
  signal: NodeJS.Signals | null;
  /** The last error that it told; `''` where it told none. */
  reason: string;
}

/** How an end is told in messages. */
export function describeEnd({ code, signal, reason }: Ended): string {
  const how = signal === null ? `exit code ${code}` : `signal ${signal}`;
  return reason === '' ? how : `${how}: ${reason}`;
}

/**
 * What Litestream runs beside itself: it ends when the third pipe does, whose other end this
 * process has, and Litestream shuts down with it, after a last sync. So no Litestream outlives
 * this process, however that ends: SIGKILL closes pipes too.
 */
export const GUARD = existsSync('/bin/sh')
  ? '/bin/sh -c "cat <&3 >/dev/null"'
  : `'${process.execPath.replaceAll("'", "'\\''")}' -e "require('node:fs').readFileSync(3)"`;

/** A configuration in a file of its own, which only this user can read: it may hold keys. */
class ConfigFile {
  readonly path: string;
  readonly #folder: string;

  constructor(text: string) {
    this.#folder = mkdtempSync(join(tmpdir(), 'poolite-litestream-'));
    this.path = join(this.#folder, 'litestream.json');
    writeFileSync(this.path, text, { mode: 0o600 });
  }

  remove(): void {
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

export interface ChildOptions {
  binary: string;
  command: 'replicate' | 'restore' | 'generations';
  config: string;
  args?: readonly string[];
  env: Readonly<Record<string, string>> | undefined;
  heard?(event: LogEvent): void;
  /** What it prints. */
  printed?(text: string): void;
}

/** How often the log is looked at, in ms: more often while it begins or ends. */
const SELDOM = 250;
const OFTEN = 25;

/** One run of the program. */
export class LitestreamChild {
  readonly ended: Promise<Ended>;
  readonly #process: ChildProcess;
  readonly #config: ConfigFile;
  readonly #log = new LogFile();
  readonly #guard: Socket;
  readonly #heard: (event: LogEvent) => void;
  #reason = '';
  #pause = OFTEN;
  #reading: Promise<void> = Promise.resolve();
  #timer: NodeJS.Timeout | undefined;

  constructor({ binary, command, config, args = [], env, heard, printed }: ChildOptions) {
    this.#config = new ConfigFile(config);
    this.#heard = heard ?? (() => {});
    // Without -no-expand-env a `$` in a path or a key would be taken for a variable.
    const all = [command, '-no-expand-env', '-config', this.#config.path, ...args];
    this.#process = spawn(binary, all, {
      stdio: ['ignore', printed === undefined ? 'ignore' : 'pipe', this.#log.fd, 'pipe'],
      env: { ...process.env, ...env },
      // Ctrl-C in a terminal goes to the whole group: it must not end before the pool does.
      detached: true,
    });
    this.#guard = this.#process.stdio[3] as Socket;
    // It breaks when the child ends, which is told elsewhere.
    this.#guard.on('error', () => {});
    if (printed !== undefined) this.#process.stdout?.setEncoding('utf8').on('data', printed);
    this.ended = this.#whenEnded();
    // A process that has nothing else to do ends, and the child with it.
    this.#process.unref();
    this.#guard.unref();
    this.#listen();
  }

  get pid(): number | undefined {
    return this.#process.pid;
  }

  /** Asks it to sync and end, by closing the guard's pipe. */
  finish(): void {
    this.reference();
    this.#guard.destroy();
  }

  /** Keeps the process alive until the child has ended. */
  reference(): void {
    this.#pause = OFTEN;
    this.#process.ref();
  }

  kill(signal: NodeJS.Signals = 'SIGKILL'): void {
    this.#process.kill(signal);
  }

  #listen(): void {
    this.#timer = setTimeout(async () => {
      await this.#read();
      // The child's end reads the rest, and closes the file.
      if (this.#timer !== undefined) this.#listen();
    }, this.#pause);
    this.#timer.unref();
  }

  /** One reading at a time: they share what they know of the file. */
  #read(): Promise<void> {
    this.#reading = this.#reading.then(() => this.#readLines());
    return this.#reading;
  }

  async #readLines(): Promise<void> {
    for (const line of await this.#log.lines()) {
      const event = readLogLine(line);
      if (event.type === 'error') this.#reason = event.message;
      if (event.type === 'ready') {
        // It has read its configuration by now.
        this.#config.remove();
        this.#pause = SELDOM;
      }
      this.#heard(event);
    }
  }

  #whenEnded(): Promise<Ended> {
    return new Promise((resolve, reject) => {
      const end = async (code: number | null, signal: NodeJS.Signals | null) => {
        clearTimeout(this.#timer);
        this.#timer = undefined;
        this.#config.remove();
        await this.#read();
        this.#log.close();
        resolve({ code, signal, reason: this.#reason });
      };
      this.#process.once('error', (error) => {
        this.#reason = error.message;
        if (this.#process.pid === undefined) end(null, null).catch(reject);
      });
      // The guard goes with it.
      this.#process.once('exit', () => this.#guard.destroy());
      this.#process.once('close', (code, signal) => {
        if (this.#process.pid !== undefined) end(code, signal).catch(reject);
      });
    });
  }
}
