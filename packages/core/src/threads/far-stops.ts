import { Stops } from './stops.js';

/** Stops what another process runs: it is told to, and sees for itself whether that has begun. */
export class FarStops extends Stops {
  readonly #tell: (ticket: number) => void;

  constructor(reason: string, tell: (ticket: number) => void = () => {}) {
    super(new Int32Array(0), '');
    this.reason = reason;
    this.#tell = tell;
  }

  override giveUp(): boolean {
    return true;
  }

  override forget(): void {}

  override isRunning(): boolean {
    return false;
  }

  override interrupt(ticket: number): void {
    // What is to be stopped may be on its way out with what else this tick sends.
    if (this.canInterrupt) process.nextTick(() => this.#tell(ticket));
  }

  override interruptAll(): void {}
}
