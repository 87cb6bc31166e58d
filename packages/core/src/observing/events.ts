import { EventEmitter } from 'node:events';

/** What a pool tells through `pool.on`. */
export interface PoolEvents {
  /** The file is open, and all threads are up. */
  ready: [];
  /** Another process held the lock: so many times it was found taken. */
  busy: [{ retries: number }];
  /** A transaction or lease lasted longer than its limit and was rolled back. */
  leak: [{ kind: string; heldMs: number; openedAt: string }];
  /** A thread died, of this cause, and was replaced. */
  threadLost: [{ role: 'reader' | 'writer'; cause: unknown }];
  /** The pool is closed. */
  close: [];
}

/** The events of one pool: nothing is made where nobody listens. */
export class Events {
  readonly #emitter = new EventEmitter<PoolEvents>();

  on<Name extends keyof PoolEvents>(name: Name, listener: (...args: PoolEvents[Name]) => void) {
    this.#emitter.on(name, listener as never);
  }

  off<Name extends keyof PoolEvents>(name: Name, listener: (...args: PoolEvents[Name]) => void) {
    this.#emitter.off(name, listener as never);
  }

  emit<Name extends keyof PoolEvents>(name: Name, make: () => PoolEvents[Name]): void {
    const listeners = this.#emitter.listeners(name) as ((...args: PoolEvents[Name]) => void)[];
    if (listeners.length === 0) return;
    const args = make();
    for (const listener of listeners) {
      try {
        listener(...args);
      } catch (error) {
        // It is the listener's fault and nobody's else: the pool is in the middle of its work.
        process.nextTick(() => {
          throw error;
        });
      }
    }
  }
}

/** Tells what happens to a database to all pools that share it. */
export class EventHub {
  readonly #pools = new Set<Events>();

  join(pool: Events): void {
    this.#pools.add(pool);
  }

  leave(pool: Events): void {
    this.#pools.delete(pool);
  }

  emit<Name extends keyof PoolEvents>(name: Name, make: () => PoolEvents[Name]): void {
    for (const pool of this.#pools) pool.emit(name, make);
  }
}
