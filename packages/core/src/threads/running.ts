import { Control } from './protocol.js';

/**
 * What a thread runs, seen from the thread itself. The calling thread interrupts a statement only
 * while the word `current` says that this very one runs, and this thread leaves a statement only
 * when no interrupt is on its way: so none ever reaches the statement that comes next.
 */
export class Running {
  readonly #control: Int32Array;
  /** What the words say: of which connection, and whether others would be undone too. */
  #connection = 0;
  #isShared = false;

  constructor(control: Int32Array) {
    this.#control = control;
  }

  /**
   * A piece of work begins that may be interrupted, on the connection of this number.
   *
   * @param isShared whether that would undo the work of others too: then it is a last resort.
   */
  begin(ticket: number, connection: number, isShared = false): void {
    const control = this.#control;
    if (isShared !== this.#isShared) {
      this.#isShared = isShared;
      Atomics.store(control, Control.shared, isShared ? 1 : 0);
    }
    if (connection !== this.#connection) {
      this.#connection = connection;
      Atomics.store(control, Control.connection, connection);
    }
    Atomics.store(control, Control.current, ticket);
  }

  end(): void {
    const control = this.#control;
    Atomics.store(control, Control.current, 0);
    for (;;) {
      const interrupting = Atomics.load(control, Control.interrupting);
      if (interrupting === 0) return;
      Atomics.wait(control, Control.interrupting, interrupting, 1);
    }
  }

  /**
   * Claims the work of a word, once it has begun; false where whoever asked for it has given it
   * up. The order matters: who gives up writes the word first, and looks at `current` then.
   */
  claims(word: number, number: number): boolean {
    if (Atomics.exchange(this.#control, word, number) !== ~number) return true;
    Atomics.store(this.#control, word, ~number);
    return false;
  }

  isGivenUp(word: number, number: number): boolean {
    return isGivenUp(this.#control, word, number);
  }
}

/** Whether the work of a word was given up. */
export function isGivenUp(control: Int32Array, word: number, number: number): boolean {
  return Atomics.load(control, word) === ~number;
}

/** What SQLite says of an interrupted statement, for one that was given up before it ran. */
export function interrupted(): Error {
  return Object.assign(new Error('interrupted'), { name: 'SqliteError', code: 'SQLITE_INTERRUPT' });
}

export function isInterrupted(error: unknown): boolean {
  return (error as { code?: unknown } | null)?.code === 'SQLITE_INTERRUPT';
}
