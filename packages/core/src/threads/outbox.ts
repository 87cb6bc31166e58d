import type { Feed } from './feed.js';
import type { Sender } from './mailbox.js';
import { type Answer, Control, Outcome, type Words } from './protocol.js';
import { failureOf, type ResultEncoder } from './rows.js';

/** A thread's answers, gathered so that those that are ready together travel together. */
export class Outbox {
  readonly encoder: ResultEncoder;
  readonly #sender: Sender;
  readonly #control: Int32Array;
  #answers: Answer[] = [];
  /** What was committed goes ahead of the answers that say so. */
  feed: Feed | undefined;

  constructor(sender: Sender, control: Int32Array, encoder: ResultEncoder) {
    this.#sender = sender;
    this.#control = control;
    this.encoder = encoder;
  }

  push(answer: Answer): void {
    this.#answers.push(answer);
  }

  done(task: number, inTransaction: boolean, error?: unknown): void {
    const failure = error === undefined ? undefined : failureOf(error);
    this.push({ type: 'done', tasks: [task], failure, inTransaction });
  }

  /** One statement's failure, as words. */
  failed(error: unknown, index?: number): Words {
    return [Outcome.error, failureOf(error, index)];
  }

  flush(): void {
    const changed = this.feed?.collect();
    if (changed !== undefined) this.#answers.unshift({ type: 'changed', text: changed });
    if (this.#answers.length === 0) return;
    let answers = this.#answers;
    this.#answers = [];
    const { newShapes, moved } = this.encoder;
    if (newShapes.length > 0) {
      // A shape is used by an answer of this post at the earliest, so it goes ahead of them all.
      answers = [...newShapes.map((shape) => ({ type: 'shape', ...shape }) as const), ...answers];
      newShapes.length = 0;
    }
    if (moved.length > 0) {
      this.encoder.moved = [];
      this.#sender.send(answers, moved);
    } else {
      this.#sender.send(answers);
    }
    Atomics.add(this.#control, Control.answered, 1);
    // Until the answer is on its way, whoever waits for it cannot know of the commit.
    Atomics.store(this.#control, Control.committing, 0);
  }
}
