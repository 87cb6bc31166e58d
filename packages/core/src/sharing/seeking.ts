import { FarStops } from '../threads/far-stops.js';
import { Line, type LineOwner } from '../threads/line.js';
import type { Command } from '../threads/protocol.js';
import { done } from './messages.js';

const IDLE_LOOK = 15;

/** Stands where the writer will be, while nobody knows yet which process that is. */
export class Seeking extends Line {
  override readonly isRemote: boolean;
  override readonly stops = new FarStops('no process writes yet');
  #timer: NodeJS.Timeout | undefined;

  /** @param isOpening whether the pool has not been open yet: then nobody waits too long here. */
  constructor(owner: LineOwner, isOpening: boolean) {
    super(0, owner);
    this.isRemote = !isOpening;
  }

  /** Nothing is sent before somebody is there, save that the pool closes. */
  post(commands: Command[]): void {
    for (const command of commands) {
      if (command.type !== 'close') continue;
      const { task } = command;
      queueMicrotask(() => {
        this.deliver([done(task)]);
        // Nobody waits for a writer any more.
        this.isAlive = false;
        this.end();
      });
    }
  }

  /** Keeps the process alive for those who wait. */
  reference(): void {
    if (this.#timer !== undefined || !this.isAlive) return;
    this.#timer = setInterval(() => {
      if (this.isAlive && (this.calls > 0 || this.owner.busy())) return;
      this.end();
    }, IDLE_LOOK);
  }

  /** Somebody is there. */
  end(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  hurry(): void {}

  async terminate(cause: Error = new Error('the pool was ended')): Promise<void> {
    this.error ??= cause;
    this.isAlive = false;
    this.end();
    this.loseCalls(this.error, false);
  }
}
