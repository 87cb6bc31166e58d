import type { GroupQueue } from './group-queue.js';

/** Takes out units that have waited too long, while something keeps them from being sent. */
export class Sweeper {
  readonly #limit: number;
  readonly #groups: GroupQueue;
  readonly #isBlocked: () => boolean;
  readonly #owner: { error(waited: number): Error; swept(): void };
  #timer: NodeJS.Timeout | undefined;

  /** @param limit how long a unit may wait, in ms; 0: for ever. */
  constructor(
    limit: number,
    groups: GroupQueue,
    isBlocked: () => boolean,
    owner: { error(waited: number): Error; swept(): void },
  ) {
    this.#limit = limit;
    this.#groups = groups;
    this.#isBlocked = isBlocked;
    this.#owner = owner;
  }

  start(): void {
    if (this.#timer !== undefined || this.#limit === 0) return;
    this.#timer = setInterval(
      () => {
        if (this.#isBlocked()) this.#sweep();
        else this.stop();
      },
      Math.max(5, Math.min(250, this.#limit / 10)),
    );
    this.#timer.unref();
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  #sweep(): void {
    const now = performance.now();
    const late = this.#groups.takeLate(now - this.#limit);
    for (const unit of late) unit.refuse(this.#owner.error(now - unit.since));
    if (late.length > 0) this.#owner.swept();
  }
}
