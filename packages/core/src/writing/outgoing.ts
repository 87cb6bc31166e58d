import type { Command } from '../threads/protocol.js';

/** Commands that gather: those of one tick travel together. */
export class Outgoing {
  readonly #flush: () => void;
  #commands: Command[] = [];
  #isScheduled = false;
  readonly #flushNow = () => {
    this.#isScheduled = false;
    this.#flush();
  };

  constructor(flush: () => void) {
    this.#flush = flush;
  }

  push(...commands: readonly Command[]): void {
    this.#commands.push(...commands);
  }

  /** Flushes when this tick is over. */
  schedule(): void {
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    process.nextTick(this.#flushNow);
  }

  /** Flushes when all that is ready to run has run. */
  scheduleAfter(): void {
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    setImmediate(this.#flushNow);
  }

  /** What has gathered: it is the caller's from then on. */
  take(): Command[] {
    const commands = this.#commands;
    this.#commands = [];
    return commands;
  }
}
